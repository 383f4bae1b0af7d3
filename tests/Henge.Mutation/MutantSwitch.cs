namespace Henge.Mutation;

/// <summary>The switch that is compiled into a mutated assembly: a single build holds all mutants, of which one at most is on.</summary>
internal static class MutantSwitch
{
    /// <summary>The type's full name.</summary>
    public const string TypeName = "Henge.Mutation.Switch";

    /// <summary>Its source.</summary>
    public const string Source = """
        namespace Henge.Mutation;

        public static class Switch
        {
            public static int Active;
            public static bool[] Reached = [];

            public static bool Is(int id)
            {
                if (id < Reached.Length)
                {
                    Reached[id] = true;
                }

                return Active == id;
            }
        }
        """;
}

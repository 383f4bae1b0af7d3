namespace Henge.Architecture.Tests;

/// <summary>
/// One block of arrows in docs/architecture.md: the rooms from the roof down to the ground, each with the rooms that it knows.
/// </summary>
/// <param name="Name">The project, or <c>projects</c> for the block that shows how projects know each other.</param>
/// <param name="Rooms">From top to bottom.</param>
/// <param name="Arrows">Those that stay. Each must point down.</param>
/// <param name="ToGo">Those that are there, and are to go. They may point up.</param>
internal sealed record DrawnHouse(string Name, IReadOnlyList<string> Rooms, IReadOnlySet<Arrow> Arrows, IReadOnlySet<Arrow> ToGo)
{
    /// <summary>
    /// Reads all blocks. A block begins with <c>```arrows NAME</c>; a line is <c>ROOM -> ROOM, ROOM</c>, or <c>to go: ROOM -> ROOM</c>; a
    /// line that begins with two spaces goes on with the list before it.
    /// </summary>
    public static IReadOnlyDictionary<string, DrawnHouse> ReadAll()
    {
        Dictionary<string, DrawnHouse> houses = [];
        string[] lines = File.ReadAllLines(Path.Combine(Repository.Root, "docs", "architecture.md"));
        for (int i = 0; i < lines.Length; i++)
        {
            if (lines[i].StartsWith("```arrows ", StringComparison.Ordinal))
            {
                int end = Array.IndexOf(lines, "```", i);
                string name = lines[i]["```arrows ".Length..].Trim();
                houses.Add(name, Parse(name, lines[(i + 1)..end]));
                i = end;
            }
        }

        return houses;
    }

    private static DrawnHouse Parse(string name, IEnumerable<string> lines)
    {
        List<string> rooms = [];
        HashSet<Arrow> arrows = [];
        HashSet<Arrow> toGo = [];
        string from = "";
        HashSet<Arrow> into = arrows;
        foreach (string line in lines)
        {
            string list = line;
            int arrow = line.IndexOf("->", StringComparison.Ordinal);
            if (arrow >= 0)
            {
                string head = line[..arrow].Trim();
                bool goes = head.StartsWith("to go:", StringComparison.Ordinal);
                into = goes ? toGo : arrows;
                from = goes ? head["to go:".Length..].Trim() : head;
                list = line[(arrow + 2)..];
                if (!goes)
                {
                    rooms.Add(from);
                }
            }

            foreach (string to in list.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            {
                into.Add(new Arrow(from, to));
            }
        }

        return new DrawnHouse(name, rooms, arrows, toGo);
    }
}

namespace Henge.Architecture.Tests;

/// <summary>One room knows another.</summary>
/// <param name="From">Who knows.</param>
/// <param name="To">Who is known.</param>
internal readonly record struct Arrow(string From, string To) : IComparable<Arrow>
{
    public int CompareTo(Arrow other) => string.CompareOrdinal(ToString(), other.ToString());

    public override string ToString() => $"{From} -> {To}";
}

namespace Henge.Client;

/// <summary>What a get can say.</summary>
public sealed record GetOptions : ReadOptions
{
    /// <summary>A get of now, at the client's consistency.</summary>
    public static GetOptions Default { get; } = new();
}

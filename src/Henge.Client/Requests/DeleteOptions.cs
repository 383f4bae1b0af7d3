namespace Henge.Client;

/// <summary>What a delete can say.</summary>
public sealed record DeleteOptions : RequestOptions
{
    /// <summary>An unconditional delete.</summary>
    public static DeleteOptions Default { get; } = new();

    /// <summary>Delete only if the key is at this version. Null: always.</summary>
    public Core.Version? IfVersion { get; init; }

    /// <summary>Answer with the value that was there before.</summary>
    public bool ReturnPrevious { get; init; }
}

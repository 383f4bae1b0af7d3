using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>A page of a range.</summary>
public readonly record struct ScanQuery
{
    /// <summary>The version to read at; a barrier gives it.</summary>
    public required Core.Version Version { get; init; }

    /// <summary>First key, inclusive.</summary>
    public ReadOnlyMemory<byte> Lower { get; init; }

    /// <summary>Last key, exclusive; empty means no end.</summary>
    public ReadOnlyMemory<byte> Upper { get; init; }

    /// <summary>From the last key to the first.</summary>
    public bool Reverse { get; init; }

    /// <summary>The receiver gets empty values.</summary>
    public bool KeysOnly { get; init; }

    /// <summary>Most items; at least 1.</summary>
    public required int LimitItems { get; init; }

    /// <summary>Most bytes of keys and values; one item is always let in.</summary>
    public required int LimitBytes { get; init; }
}

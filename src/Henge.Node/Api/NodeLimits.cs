using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>Bounds of a node, all settings with these defaults.</summary>
public sealed record NodeLimits
{
    /// <summary>Longest key, in bytes.</summary>
    public int KeyBytes { get; init; } = 16 * 1024;

    /// <summary>Longest value, in bytes.</summary>
    public int ValueBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>Most operations in a transaction.</summary>
    public int TxnOperations { get; init; } = 1024;

    /// <summary>Largest encoded command (a transaction), in bytes.</summary>
    public int CommandBytes { get; init; } = 8 * 1024 * 1024;

    /// <summary>Most pairs in a page of a scan.</summary>
    public int ScanPageItems { get; init; } = 10_000;

    /// <summary>Most bytes in a page of a scan; one pair is always let in.</summary>
    public int ScanPageBytes { get; init; } = 1024 * 1024;

    /// <summary>Most watches on a node.</summary>
    public int Watches { get; init; } = 10_000;

    /// <summary>Most operations under way on a node; over it they fail with ResourceExhausted.</summary>
    public int PendingOperations { get; init; } = 1_000_000;

    /// <summary>Most bytes of commands under way on a node.</summary>
    public long PendingBytes { get; init; } = 256L * 1024 * 1024;
}

using System.Text;

namespace Henge.Client;

/// <summary>One page of a scan.</summary>
public sealed record ScanPage
{
    /// <summary>The pairs, in the order of the scan.</summary>
    public required IReadOnlyList<KeyValue> Pairs { get; init; }

    /// <summary>Give it back to go on, as of the same version; empty at the end.</summary>
    public ReadOnlyMemory<byte> Continuation { get; init; }

    /// <summary>The version as of which was read.</summary>
    public Core.Version Version { get; init; }

    /// <summary>True when there is more.</summary>
    public bool HasMore => !Continuation.IsEmpty;
}

namespace Henge.Simulation.Checking;

/// <summary>What a client did to one key, as far as the checkers care.</summary>
public enum KeyAction : byte
{
    /// <summary>A linearizable read.</summary>
    Read,
    /// <summary>A write without a condition.</summary>
    Write,
    /// <summary>A deletion without a condition.</summary>
    Delete,
    /// <summary>A write on the condition that the key is at a version (0: does not exist).</summary>
    WriteIf,
    /// <summary>A deletion on the same kind of condition.</summary>
    DeleteIf,
}

/// <summary>How an operation ended for its client.</summary>
public enum KeyOutcome : byte
{
    /// <summary>It took effect, or read something.</summary>
    Ok,
    /// <summary>Its condition did not hold; the key's version was told.</summary>
    ConditionFailed,
    /// <summary>Nobody knows: it may take effect at any time after its call, or never.</summary>
    Unknown,
}

/// <summary>
/// One operation on one key between its call and its return. Values are unique in a history (each write carries its own number), which is
/// what makes the search for an order short: a read says exactly which write it saw.
/// </summary>
public sealed record KeyOperation
{
    /// <summary>Which client, for messages.</summary>
    public required int Client { get; init; }

    /// <summary>When it was called: any rising number.</summary>
    public required long Call { get; init; }

    /// <summary>When it returned; ignored for unknown outcomes.</summary>
    public long Return { get; init; } = long.MaxValue;

    /// <summary>What it did.</summary>
    public required KeyAction Action { get; init; }

    /// <summary>The number of the value written (writes) or read (reads; 0: not found).</summary>
    public long Value { get; init; }

    /// <summary>For conditional operations: the version asked for.</summary>
    public ulong Condition { get; init; }

    /// <summary>For writes on the condition that the key was not written to after a version: that version.</summary>
    public ulong Since { get; init; }

    /// <summary>How it ended.</summary>
    public required KeyOutcome Outcome { get; init; }

    /// <summary>The version written, read, or found in the way of a condition; 0 if there is none or it is not known.</summary>
    public ulong Version { get; init; }

    /// <inheritdoc/>
    public override string ToString() =>
        $"[{Call}..{(Outcome == KeyOutcome.Unknown ? "?" : Return)}] client {Client}: {Action} value={Value} if={Condition} since={Since} -> {Outcome} "
            + $"version={Version}";
}

namespace Henge.Node.StateMachine;

/// <summary>How <see cref="CommandKind.Put"/> writes.</summary>
public readonly record struct PutOptions
{
    /// <summary>When the value ends.</summary>
    public Expiry Expiry { get; init; }

    /// <summary>Keep the expiry that the key has; not together with <see cref="Expiry"/>.</summary>
    public bool KeepExpiry { get; init; }

    /// <summary>What must hold.</summary>
    public PutCondition Condition { get; init; }

    /// <summary>For <see cref="PutCondition.IfVersion"/>.</summary>
    public Core.Version IfVersion { get; init; }

    /// <summary>For conditions on the value: the bytes, or the digest as 8 bytes LE.</summary>
    public ReadOnlyMemory<byte> Comparand { get; init; }

    /// <summary>What the value is. A hash must be well formed (<see cref="HashReader.IsWellFormed"/>).</summary>
    public Henge.Storage.DataType Type { get; init; }

    /// <summary>
    /// The result carries the value before, also when the condition failed. A value that is not plain bytes is refused then (WrongKind).
    /// </summary>
    public bool ReturnPrevious { get; init; }
}

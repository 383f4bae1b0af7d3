using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Henge.Storage.Lsm.Keys;

/// <summary>
/// An entry that a point read found, in the memory of a memtable or a block. While <see cref="Owner"/> is not null that memory is
/// pinned: hand it on by <see cref="ToPinnedValue"/>, or call <see cref="Unpin"/>, exactly once.
/// </summary>
internal unsafe struct FoundEntry
{
    /// <summary>What the entry is; tombstones too.</summary>
    public EntryKind Kind;

    /// <summary>The version that wrote it.</summary>
    public Core.Version Version;

    /// <summary>When it expires, in milliseconds since the epoch of versions; 0 if never.</summary>
    public long ExpiresAtMs;

    /// <summary>What the value is.</summary>
    public DataType Type;

    /// <summary>The value, without the header.</summary>
    public byte* Value;

    /// <summary>Bytes of the value.</summary>
    public int ValueLength;

    /// <summary>Who pins the memory; null when nothing is pinned (tombstones).</summary>
    public IPinOwner? Owner;

    /// <summary>What the owner needs to let go of it.</summary>
    public nint Token;

    /// <summary>The value.</summary>
    public readonly ReadOnlySpan<byte> Span => new(Value, ValueLength);

    /// <summary>Hands the pin on.</summary>
    public readonly PinnedValue ToPinnedValue() => new(Owner, Token, Value, ValueLength, Version, ExpiresAtMs, Type);

    /// <summary>Lets go of the pin.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Unpin() => Owner?.Unpin(Token);

    /// <summary>Fills in the value of an entry, taking the header off a value that has one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal void SetValue(EntryKind kind, byte* value, int length)
    {
        Kind = kind;
        ExpiresAtMs = 0;
        Type = DataType.Bytes;
        if (EntryHeader.IsIn(kind))
        {
            long header = BinaryPrimitives.ReadInt64LittleEndian(new ReadOnlySpan<byte>(value, EntryHeader.Bytes));
            ExpiresAtMs = EntryHeader.ExpiresAtMs(header);
            Type = EntryHeader.Type(header);
            value += EntryHeader.Bytes;
            length -= EntryHeader.Bytes;
        }

        Value = value;
        ValueLength = length;
    }
}

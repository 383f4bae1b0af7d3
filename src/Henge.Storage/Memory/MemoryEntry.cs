using System.Runtime.InteropServices;

namespace Henge.Storage.Memory;

/// <summary>One entry; keeps the memory behind the values that it hands out alive by itself.</summary>
internal sealed unsafe class MemoryEntry : IComparable<MemoryEntry>, IPinOwner
{
    private readonly byte[] _key;
    private readonly byte[] _value;

    public MemoryEntry(uint keyspace, ReadOnlySpan<byte> key, Core.Version version, EntryKind kind, long expiresAtMs, ReadOnlySpan<byte> value)
    {
        Keyspace = keyspace;
        _key = key.ToArray();
        Version = version;
        Kind = kind;
        ExpiresAtMs = expiresAtMs;
        _value = GC.AllocateUninitializedArray<byte>(value.Length, pinned: true);
        value.CopyTo(_value);
    }

    public uint Keyspace { get; }

    public ReadOnlySpan<byte> Key => _key;

    public ReadOnlySpan<byte> Value => _value;

    public Core.Version Version { get; }

    public EntryKind Kind { get; }

    public long ExpiresAtMs { get; }

    public long Bytes => _key.Length + _value.Length + 64;

    /// <summary>A key to search with: it stands before all versions of the key.</summary>
    public static MemoryEntry Before(uint keyspace, ReadOnlySpan<byte> key) =>
        new(keyspace, key, new Core.Version(ulong.MaxValue), EntryKind.Delete, 0, default);

    /// <summary>A key to search with: it stands before the newest entry at or below a version.</summary>
    public static MemoryEntry At(uint keyspace, ReadOnlySpan<byte> key, Core.Version version) => new(keyspace, key, version, EntryKind.Delete, 0, default);

    /// <summary>A key to search with: it stands after all versions of the key.</summary>
    public static MemoryEntry After(uint keyspace, ReadOnlySpan<byte> key) => new(keyspace, key, default, (EntryKind)255, 0, default);

    public bool SameKey(MemoryEntry other) => Keyspace == other.Keyspace && Key.SequenceEqual(other.Key);

    public PinnedValue Pin() =>
        new(this, 0, (byte*)Marshal.UnsafeAddrOfPinnedArrayElement(_value, 0), _value.Length, Version, ExpiresAtMs);

    public void Unpin(nint token)
    {
        // The collector frees the memory when nothing points here any more.
    }

    public int CompareTo(MemoryEntry? other)
    {
        int order = Keyspace.CompareTo(other!.Keyspace);
        order = order != 0 ? order : Key.SequenceCompareTo(other.Key);
        order = order != 0 ? order : other.Version.CompareTo(Version);
        return order != 0 ? order : Kind.CompareTo(other.Kind);
    }
}

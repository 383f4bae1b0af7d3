using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Henge.Storage.Lsm.Keys;

/// <summary>
/// What a point read looks for: made once, in the caller's stack, and used on every memtable and table of the read.
/// Layout of the buffer: the internal key that seeks the newest entry at or below the version, then 8 bytes of slack, so that
/// comparisons may load whole words.
/// </summary>
internal readonly unsafe ref struct LookupKey
{
    private const int SlackBytes = sizeof(ulong);

    /// <summary>
    /// Writes the key into a buffer of at least <see cref="BufferBytes"/>, which must not move (stack or pinned) while it is used.
    /// </summary>
    public LookupKey(byte* buffer, uint keyspace, ReadOnlySpan<byte> key, Core.Version at)
    {
        Pointer = buffer;
        PrefixLength = key.Length + InternalKey.KeyspaceBytes;
        At = at;
        *(uint*)buffer = BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(keyspace) : keyspace;
        key.CopyTo(new Span<byte>(buffer + InternalKey.KeyspaceBytes, key.Length));
        InternalKey.WriteTrailer(new Span<byte>(buffer + PrefixLength, InternalKey.TrailerBytes), at, 0);
        Hash = BloomFilter.Hash(new ReadOnlySpan<byte>(buffer, PrefixLength));
    }

    /// <summary>Bytes that the buffer for a key needs.</summary>
    public static int BufferBytes(int keyLength) => keyLength + InternalKey.OverheadBytes + SlackBytes;

    /// <summary>Keyspace and key, then the trailer.</summary>
    public byte* Pointer { get; }

    /// <summary>Bytes of keyspace and key.</summary>
    public int PrefixLength { get; }

    /// <summary>The newest version that may be found.</summary>
    public Core.Version At { get; }

    /// <summary>The hash of keyspace and key that all filters use.</summary>
    public ulong Hash { get; }

    /// <summary>The internal key.</summary>
    public ReadOnlySpan<byte> InternalKeySpan => new(Pointer, PrefixLength + InternalKey.TrailerBytes);
}

using System.Buffers.Binary;
using System.Numerics;
using Henge.Core;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Tables;

/// <summary>
/// Gathers the entries of one data block and lays them out (docs/formats.md). Reusable. Keys come together in front and values behind them:
/// a search reads keys only, and they fill few cache lines.
/// </summary>
internal sealed class BlockBuilder(int restartInterval)
{
    private readonly List<Entry> _entries = [];
    private byte[] _suffixes = new byte[4096];
    private byte[] _values = new byte[8192];
    private byte[] _lastPrefix = new byte[64];
    private int _lastPrefixLength;
    private int _suffixBytes;
    private int _valueBytes;
    private ulong _minVersion;
    private ulong _maxVersion;

    /// <summary>Entries gathered.</summary>
    public int Count => _entries.Count;

    /// <summary>The largest version gathered.</summary>
    public ulong MaxVersion => _maxVersion;

    /// <summary>Bytes of the block if it were finished now, about.</summary>
    public int EstimatedBytes =>
        BlockHeader.Bytes
        + _suffixBytes
        + _valueBytes
        + (_entries.Count * 8)
        + (((_entries.Count / restartInterval) + 1) * BlockHeader.RestartBytes);

    /// <summary>Adds an entry; keys rise.</summary>
    public void Add(ReadOnlySpan<byte> internalKey, ReadOnlySpan<byte> value)
    {
        ReadOnlySpan<byte> prefix = InternalKey.GetPrefix(internalKey);
        int shared = _entries.Count % restartInterval == 0 ? 0 : prefix.CommonPrefixLength(_lastPrefix.AsSpan(0, _lastPrefixLength));
        ReadOnlySpan<byte> suffix = prefix[shared..];
        ulong version = InternalKey.GetVersion(internalKey).Value;
        _minVersion = _entries.Count == 0 ? version : Math.Min(_minVersion, version);
        _maxVersion = _entries.Count == 0 ? version : Math.Max(_maxVersion, version);
        _entries.Add(new Entry(shared, suffix.Length, value.Length, version, InternalKey.GetKind(internalKey)));
        Append(ref _suffixes, ref _suffixBytes, suffix);
        Append(ref _values, ref _valueBytes, value);
        if (_lastPrefix.Length < prefix.Length)
        {
            Array.Resize(ref _lastPrefix, prefix.Length * 2);
        }

        prefix.CopyTo(_lastPrefix);
        _lastPrefixLength = prefix.Length;
    }

    /// <summary>
    /// Lays the block out in <paramref name="block"/>, which grows when it must, and begins the next. Returns its length.
    /// </summary>
    public int Finish(ref byte[] block)
    {
        int restarts = (_entries.Count + restartInterval - 1) / restartInterval;
        int keysOffset = BlockHeader.Bytes + (restarts * BlockHeader.RestartBytes);
        int bound = checked(keysOffset + _suffixBytes + _valueBytes + (_entries.Count * ((3 * 5) + 8)));
        if (block.Length < bound)
        {
            block = new byte[bound + (bound / 4)];
        }

        int metaBytes = Math.Max(1, (64 + 7 - BitOperations.LeadingZeroCount(((_maxVersion - _minVersion) << 2) | 3)) / 8);
        Span<byte> target = block;
        Span<byte> meta = stackalloc byte[sizeof(ulong)];
        int at = keysOffset, suffixAt = 0, valueAt = 0;
        for (int i = 0; i < _entries.Count; i++)
        {
            Entry entry = _entries[i];
            if (i % restartInterval == 0)
            {
                Span<byte> restart = target[(BlockHeader.Bytes + (i / restartInterval * BlockHeader.RestartBytes))..];
                BinaryPrimitives.WriteInt32LittleEndian(restart, at);
                BinaryPrimitives.WriteInt32LittleEndian(restart[4..], valueAt);
            }

            at += Varint.Write(target[at..], (uint)entry.Shared);
            at += Varint.Write(target[at..], (uint)entry.SuffixLength);
            at += Varint.Write(target[at..], (uint)entry.ValueLength);
            BinaryPrimitives.WriteUInt64LittleEndian(meta, ((entry.Version - _minVersion) << 2) | (byte)entry.Kind);
            meta[..metaBytes].CopyTo(target[at..]);
            at += metaBytes;
            _suffixes.AsSpan(suffixAt, entry.SuffixLength).CopyTo(target[at..]);
            at += entry.SuffixLength;
            suffixAt += entry.SuffixLength;
            valueAt += entry.ValueLength;
        }

        // Restarts say where values begin; only now is known where keys end.
        for (int i = 0; i < restarts; i++)
        {
            Span<byte> value = target[(BlockHeader.Bytes + (i * BlockHeader.RestartBytes) + 4)..];
            BinaryPrimitives.WriteInt32LittleEndian(value, BinaryPrimitives.ReadInt32LittleEndian(value) + at);
        }

        _values.AsSpan(0, _valueBytes).CopyTo(target[at..]);
        new BlockHeader
        {
            BaseVersion = _minVersion,
            ValuesOffset = at,
            EntryCount = _entries.Count,
            RestartCount = restarts,
            MetaBytes = metaBytes,
        }.Write(target);
        int length = at + _valueBytes;
        _entries.Clear();
        _suffixBytes = _valueBytes = 0;
        return length;
    }

    private static void Append(ref byte[] buffer, ref int length, ReadOnlySpan<byte> bytes)
    {
        int needed = checked(length + bytes.Length);
        if (needed > buffer.Length)
        {
            Array.Resize(ref buffer, (int)Math.Min(Array.MaxLength, Math.Max(needed, buffer.Length * 2L)));
        }

        bytes.CopyTo(buffer.AsSpan(length));
        length = needed;
    }

    private readonly record struct Entry(int Shared, int SuffixLength, int ValueLength, ulong Version, EntryKind Kind);
}

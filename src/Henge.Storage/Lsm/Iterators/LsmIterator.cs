using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Iterators;

/// <summary>
/// What a caller sees of a merge: bounds, the point in history, expiry, and one entry for each key or all of them.
/// </summary>
/// <remarks>
/// Going forward, the merge stands on the current entry. Going backward, a key's versions come oldest first, so the current entry is pinned
/// while the merge stands before it already.
/// </remarks>
internal sealed unsafe class LsmIterator : EngineIterator
{
    // Entries of one key that are stepped over before a seek is tried: about what a seek costs.
    private const int MaxSteps = 8;

    private readonly InternalIterator _merge;
    private readonly Action _release;
    private readonly byte[] _lower;
    private readonly byte[] _upper;
    private readonly ReadPoint _point;
    private readonly Core.Version _from;
    private readonly bool _allVersions;
    private byte[] _key = new byte[64];
    private int _keyLength;
    private byte[] _seek = [];
    private byte* _value;
    private int _valueLength;
    private IPinOwner? _pinOwner;
    private nint _pinToken;
    private bool _valid;
    private bool _reverse;
    private bool _disposed;

    /// <param name="merge">The entries of all sources; the iterator takes it over.</param>
    /// <param name="options">What the caller asked for.</param>
    /// <param name="at">The newest version to show: not above the point's.</param>
    /// <param name="release">Called once, when the sources are not needed any more.</param>
    public LsmIterator(InternalIterator merge, in IteratorOptions options, Core.Version at, Action release)
    {
        _merge = merge;
        _release = release;
        _lower = Prefix(options.Keyspace, options.Lower.Span);
        _upper = !options.Upper.IsEmpty ? Prefix(options.Keyspace, options.Upper.Span)
            : options.Keyspace == uint.MaxValue ? [] : Prefix(options.Keyspace + 1, default);
        _point = new ReadPoint(at, options.Point.NowMs);
        _from = options.From;
        _allVersions = options.AllVersions;
    }

    public override bool Valid => _valid;

    public override ReadOnlySpan<byte> Key => InternalKey.GetKey(CurrentKey);

    public override ReadOnlySpan<byte> Value
    {
        get
        {
            ReadOnlySpan<byte> value = _reverse ? new ReadOnlySpan<byte>(_value, _valueLength) : Merge.Value;
            return EntryHeader.IsIn(Kind) ? value[EntryHeader.Bytes..] : value;
        }
    }

    public override Core.Version Version => InternalKey.GetVersion(CurrentKey);

    public override EntryKind Kind => InternalKey.GetKind(CurrentKey);

    public override long ExpiresAtMs => EntryHeader.ExpiresAtMs(Header);

    public override DataType Type => EntryHeader.Type(Header);

    private long Header => !EntryHeader.IsIn(Kind) ? 0
        : BinaryPrimitives.ReadInt64LittleEndian(_reverse ? new ReadOnlySpan<byte>(_value, _valueLength) : Merge.Value);

    private ReadOnlySpan<byte> CurrentKey => _valid
        ? _key.AsSpan(0, _keyLength)
        : throw new InvalidOperationException("The iterator does not stand on an entry.");

    private ReadOnlySpan<byte> CurrentPrefix => _key.AsSpan(0, _keyLength - InternalKey.TrailerBytes);

    private InternalIterator Merge
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _merge;
        }
    }

    public override void SeekToFirst() => SeekForward(_lower);

    public override void SeekToLast()
    {
        if (_upper.Length == 0)
        {
            Begin(reverse: true);
            Merge.SeekToLast();
            FindBackward();
        }
        else
        {
            SeekBackwardBefore(_upper);
        }
    }

    public override void Seek(ReadOnlySpan<byte> key)
    {
        if (key.SequenceCompareTo(_lower.AsSpan(InternalKey.KeyspaceBytes)) <= 0)
        {
            SeekForward(_lower);
            return;
        }

        SeekForward(SeekPrefix(key));
    }

    public override void SeekForPrev(ReadOnlySpan<byte> key)
    {
        ReadOnlySpan<byte> prefix = SeekPrefix(key);
        if (_upper.Length > 0 && prefix.SequenceCompareTo(_upper) >= 0)
        {
            SeekBackwardBefore(_upper);
            return;
        }

        // After all versions of the key.
        Begin(reverse: true);
        Merge.SeekForPrev(SeekKey(prefix, Core.Version.Zero, InternalKey.AfterAllKinds));
        FindBackward();
    }

    public override void Next()
    {
        _ = CurrentKey;
        if (!_reverse)
        {
            Merge.Next();
            FindForward(behindCurrent: true);
            return;
        }

        Unpin();
        _reverse = false;
        Core.Version version = _allVersions ? InternalKey.GetVersion(_key.AsSpan(0, _keyLength)) : Core.Version.Zero;
        Merge.Seek(SeekKey(CurrentPrefix, version, InternalKey.AfterAllKinds));
        FindForward(behindCurrent: true);
    }

    public override void Prev()
    {
        _ = CurrentKey;
        if (!_reverse)
        {
            // Before the current entry, or before all versions of its key.
            _reverse = true;
            Core.Version version = _allVersions ? InternalKey.GetVersion(_key.AsSpan(0, _keyLength)) : new Core.Version(ulong.MaxValue);
            Merge.SeekForPrev(SeekKey(CurrentPrefix, version, 0));
            while (_allVersions && Merge.Valid && Merge.Key.SequenceEqual(_seek.AsSpan(0, _keyLength)))
            {
                Merge.Prev();
            }
        }

        FindBackward();
    }

    protected override void Dispose(bool disposing)
    {
        if (!_disposed)
        {
            _disposed = true;
            _valid = false;
            Unpin();
            _merge.Dispose();
            _release();
        }
    }

    private void SeekForward(ReadOnlySpan<byte> prefix)
    {
        Begin(reverse: false);
        Merge.Seek(SeekKey(prefix, _allVersions ? new Core.Version(ulong.MaxValue) : _point.At, 0));
        FindForward(behindCurrent: false);
    }

    private void SeekBackwardBefore(ReadOnlySpan<byte> prefix)
    {
        Begin(reverse: true);
        Merge.SeekForPrev(SeekKey(prefix, new Core.Version(ulong.MaxValue), 0));
        FindBackward();
    }

    private void Begin(bool reverse)
    {
        Unpin();
        _valid = false;
        _reverse = reverse;
        _keyLength = 0;
    }

    // Moves the merge on until it stands on an entry to show. behindCurrent: the entries of the key in _key at or after the merge's place
    // are done with (all of them, or with all versions those that are copies of the entry shown last).
    private void FindForward(bool behindCurrent)
    {
        InternalIterator merge = Merge;
        _valid = false;
        int steps = 0;
        while (merge.Valid)
        {
            ReadOnlySpan<byte> key = merge.Key;
            ReadOnlySpan<byte> prefix = InternalKey.GetPrefix(key);
            if (_upper.Length > 0 && prefix.SequenceCompareTo(_upper) >= 0)
            {
                return;
            }

            Core.Version version = InternalKey.GetVersion(key);
            if (behindCurrent && key.Length == _keyLength && prefix.SequenceEqual(CurrentPrefix))
            {
                if (!_allVersions)
                {
                    if (++steps <= MaxSteps)
                    {
                        merge.Next();
                    }
                    else
                    {
                        merge.Seek(SeekKey(CurrentPrefix, Core.Version.Zero, InternalKey.AfterAllKinds));
                    }

                    continue;
                }

                if (version == InternalKey.GetVersion(_key.AsSpan(0, _keyLength)))
                {
                    merge.Next();
                    continue;
                }
            }

            if (version > _point.At)
            {
                if (++steps <= MaxSteps)
                {
                    merge.Next();
                }
                else
                {
                    merge.Seek(SeekKey(prefix, _point.At, 0));
                    steps = 0;
                }

                continue;
            }

            if (_allVersions && version < _from)
            {
                merge.Next();
                continue;
            }

            SaveKey(key);
            if (_allVersions || IsVisible(InternalKey.GetKind(key), merge.Value))
            {
                _valid = true;
                return;
            }

            behindCurrent = true;
            steps = 0;
            merge.Next();
        }
    }

    // The merge stands on the last entry that may be shown (or on none): finds the key's entry to show, and leaves the merge before it.
    private void FindBackward()
    {
        InternalIterator merge = Merge;
        _valid = false;
        while (merge.Valid)
        {
            if (InternalKey.GetPrefix(merge.Key).SequenceCompareTo(_lower) < 0)
            {
                break;
            }

            if (_allVersions ? TakeOneBackward(merge) : TakeNewestBackward(merge))
            {
                _valid = true;
                return;
            }
        }

        Unpin();
    }

    private bool TakeOneBackward(InternalIterator merge)
    {
        Core.Version version = InternalKey.GetVersion(merge.Key);
        if (version > _point.At || version < _from)
        {
            merge.Prev();
            return false;
        }

        // Of copies of one entry the first in order counts, as it does going forward.
        do
        {
            SaveKey(merge.Key);
            PinValue(merge);
            merge.Prev();
        }
        while (merge.Valid && InternalKey.GetVersion(merge.Key) == version && IsCurrentPrefix(merge.Key));

        return true;
    }

    private bool TakeNewestBackward(InternalIterator merge)
    {
        SaveKey(merge.Key);
        bool found = false;
        int steps = 0;
        do
        {
            ReadOnlySpan<byte> key = merge.Key;
            if (InternalKey.GetVersion(key) > _point.At)
            {
                merge.SeekForPrev(SeekKey(CurrentPrefix, new Core.Version(ulong.MaxValue), 0));
                break;
            }

            found = true;
            SaveKey(key);
            PinValue(merge);
            if (++steps > MaxSteps)
            {
                merge.Seek(SeekKey(CurrentPrefix, _point.At, 0));
                SaveKey(merge.Key);
                PinValue(merge);
                merge.SeekForPrev(SeekKey(CurrentPrefix, new Core.Version(ulong.MaxValue), 0));
                break;
            }

            merge.Prev();
        }
        while (merge.Valid && IsCurrentPrefix(merge.Key));

        return found && IsVisible(InternalKey.GetKind(_key.AsSpan(0, _keyLength)), new ReadOnlySpan<byte>(_value, _valueLength));
    }

    private bool IsVisible(EntryKind kind, ReadOnlySpan<byte> value) =>
        kind == EntryKind.Put
        || (EntryHeader.IsIn(kind) && EntryHeader.IsAlive(BinaryPrimitives.ReadInt64LittleEndian(value), _point.NowMs));

    private bool IsCurrentPrefix(ReadOnlySpan<byte> key) =>
        key.Length == _keyLength && InternalKey.GetPrefix(key).SequenceEqual(CurrentPrefix);

    private void SaveKey(ReadOnlySpan<byte> key)
    {
        if (key.Length > _key.Length)
        {
            _key = new byte[key.Length * 2];
        }

        key.CopyTo(_key);
        _keyLength = key.Length;
    }

    private void PinValue(InternalIterator merge)
    {
        // The block may move when it is pinned, so the value is taken afterwards.
        IPinOwner owner = merge.Pin(out nint token);
        ReadOnlySpan<byte> value = merge.Value;
        Unpin();
        _value = (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(value));
        _valueLength = value.Length;
        _pinOwner = owner;
        _pinToken = token;
    }

    private void Unpin()
    {
        _pinOwner?.Unpin(_pinToken);
        _pinOwner = null;
        _value = null;
        _valueLength = 0;
    }

    private ReadOnlySpan<byte> SeekPrefix(ReadOnlySpan<byte> key)
    {
        ReserveSeek(key.Length + InternalKey.OverheadBytes);
        _lower.AsSpan(0, InternalKey.KeyspaceBytes).CopyTo(_seek);
        key.CopyTo(_seek.AsSpan(InternalKey.KeyspaceBytes));
        return _seek.AsSpan(0, InternalKey.KeyspaceBytes + key.Length);
    }

    // The prefix may lie in the seek buffer already.
    private ReadOnlySpan<byte> SeekKey(ReadOnlySpan<byte> prefix, Core.Version version, EntryKind kind)
    {
        ReserveSeek(prefix.Length + InternalKey.TrailerBytes);
        prefix.CopyTo(_seek);
        InternalKey.WriteTrailer(_seek.AsSpan(prefix.Length), version, kind);
        return _seek.AsSpan(0, prefix.Length + InternalKey.TrailerBytes);
    }

    private void ReserveSeek(int bytes)
    {
        if (bytes > _seek.Length)
        {
            _seek = new byte[Math.Max(64, bytes * 2)];
        }
    }

    private static byte[] Prefix(uint keyspace, ReadOnlySpan<byte> key)
    {
        byte[] prefix = new byte[InternalKey.KeyspaceBytes + key.Length];
        BinaryPrimitives.WriteUInt32BigEndian(prefix, keyspace);
        key.CopyTo(prefix.AsSpan(InternalKey.KeyspaceBytes));
        return prefix;
    }
}

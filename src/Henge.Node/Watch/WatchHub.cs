using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Storage;

namespace Henge.Node.Watch;

/// <summary>
/// Where the events of one replica go: a bounded ring of the latest, and those who wait for more. Only the shard's worker publishes;
/// readers are on any thread. The ring is filled only while the shard has readers; until then publishing costs one look.
/// </summary>
internal sealed class WatchHub(ShardId shard, WatchOptions? options = null) : IWatchFeed
{
    private readonly WatchOptions _options = options ?? WatchOptions.Default;
    private readonly Lock _lock = new();
    private EventRing? _ring;
    private readonly List<ShardCursor> _readers = [];
    private readonly WaitIndex _waiting = new();
    private readonly List<ShardCursor> _toWake = [];
    private ulong _published;
    private int _readerCount;
    private int _closed;

    /// <summary>How much a reader of the ring found.</summary>
    internal enum RingAnswer : byte
    {
        /// <summary>There is nothing more: the reader has seen everything that was published.</summary>
        CaughtUp,
        /// <summary>There may be more.</summary>
        More,
        /// <summary>What the reader needs has left the ring: it must read history.</summary>
        Behind,
    }

    /// <summary>The shard.</summary>
    public ShardId Shard { get; } = shard;

    /// <summary>Everything at or below this version is applied, and was given to readers who asked.</summary>
    public Core.Version Published => new(Volatile.Read(ref _published));

    /// <summary>True when the node has let go of the replica: readers go on elsewhere, from where they stand.</summary>
    public bool IsClosed => Volatile.Read(ref _closed) != 0;

    /// <summary>How many read it.</summary>
    public int Readers => Volatile.Read(ref _readerCount);

    /// <summary>Takes the events of a batch that the engine has applied, and wakes those who wait. Worker only.</summary>
    /// <param name="batch">The batch; only the shard's user keyspace counts.</param>
    /// <param name="expiredOffsets">Where in it the tombstones of expired keys begin, rising.</param>
    /// <param name="last">Everything up to this version is applied now.</param>
    public void Publish(WriteBatch batch, List<int> expiredOffsets, Core.Version last)
    {
        if (last == Published)
        {
            return;
        }

        lock (_lock)
        {
            if (_readerCount > 0)
            {
                // Who waits has been given everything before this batch.
                Core.Version before = Published;
                long position = _ring!.Head;
                Append(batch, expiredOffsets);
                _waiting.TakePublications(_toWake);
                ResumeAt(before.Next, position);
            }

            Volatile.Write(ref _published, last.Value);
        }

        Wake();
    }

    /// <summary>
    /// The state was replaced, or opened, as of a version: what readers need from before, they read from history. Worker only.
    /// </summary>
    public void Reset(Core.Version last)
    {
        lock (_lock)
        {
            Core.Version before = Published;
            _ring?.Clear(last.Next);
            TakeWaiting();
            ResumeAt(before.Next, 0);
            Volatile.Write(ref _published, last.Value);
        }

        Wake();
    }

    /// <summary>
    /// The node lets go of the replica. Call it before anything of the state goes: readers that fail later look here for the reason. Worker
    /// only.
    /// </summary>
    public void Close()
    {
        lock (_lock)
        {
            Volatile.Write(ref _closed, 1);
            TakeWaiting();
            ResumeAt(Published.Next, 0);
        }

        Wake();
    }

    /// <summary>A reader begins: at the cursor's version, or from now on when that is zero.</summary>
    public void AddReader(ShardCursor cursor)
    {
        lock (_lock)
        {
            cursor.ReaderAt = _readers.Count;
            _readers.Add(cursor);
            if (_readerCount++ == 0)
            {
                _ring = new EventRing(_options.RingBytes);
                _ring.Clear(Published.Next);
            }

            cursor.Next = cursor.Next.IsZero ? Published.Next : cursor.Next;
        }
    }

    /// <summary>A reader ends.</summary>
    public void RemoveReader(ShardCursor cursor)
    {
        lock (_lock)
        {
            if (cursor.IsWaiting)
            {
                _waiting.Remove(cursor);
                cursor.IsWaiting = false;
            }

            ShardCursor moved = _readers[^1];
            _readers[cursor.ReaderAt] = moved;
            moved.ReaderAt = cursor.ReaderAt;
            _readers.RemoveAt(_readers.Count - 1);
            if (--_readerCount == 0)
            {
                _ring = null;
            }
        }
    }

    /// <summary>Everything below this version was given to the cursor's reader, or is not of its range.</summary>
    public Core.Version PositionOf(ShardCursor cursor)
    {
        lock (_lock)
        {
            return cursor.IsWaiting && Published.Next > cursor.Next ? Published.Next : cursor.Next;
        }
    }

    /// <summary>
    /// Copies events of a range into a buffer, whole versions only, beginning with the cursor's version; moves the cursor behind what was
    /// copied or looked at.
    /// </summary>
    public RingAnswer Read(ShardCursor cursor, in KeyRange range, ArrayBufferWriter<byte> buffer, int limitItems, int limitBytes)
    {
        lock (_lock)
        {
            if (_ring is null || cursor.Next < _ring.From)
            {
                return cursor.Next > Published ? RingAnswer.CaughtUp : RingAnswer.Behind;
            }

            long position = Math.Max(cursor.RingPosition, _ring.Tail);
            long sliceEnd = position + _options.SliceBytes;
            Core.Version version = default;
            int items = 0;
            while (true)
            {
                long before = position;
                if (!_ring.TryRead(ref position, out ReadOnlySpan<byte> record))
                {
                    cursor.RingPosition = position;
                    cursor.Next = cursor.Next > Published ? cursor.Next : Published.Next;
                    return RingAnswer.CaughtUp;
                }

                Core.Version recordVersion = EventRecord.Version(record);
                if (
                    recordVersion != version
                    && (position > sliceEnd || items >= limitItems || buffer.WrittenCount >= limitBytes)
                    && version != default)
                {
                    // Versions go out whole: the next one begins here.
                    cursor.RingPosition = before;
                    cursor.Next = cursor.Next > recordVersion ? cursor.Next : recordVersion;
                    return RingAnswer.More;
                }

                version = recordVersion;
                if (recordVersion >= cursor.Next && range.Contains(EventRecord.Key(record)))
                {
                    buffer.Write(record);
                    items++;
                }
            }
        }
    }

    /// <summary>True while the cursor waits: there is nothing for its reader.</summary>
    public bool IsWaiting(ShardCursor cursor)
    {
        lock (_lock)
        {
            return cursor.IsWaiting;
        }
    }

    /// <summary>Waits for something of the cursor's range; false when something was published since its reader looked.</summary>
    public bool Wait(ShardCursor cursor)
    {
        lock (_lock)
        {
            if (cursor.IsWaiting)
            {
                return true;
            }

            if (cursor.SeenPublished != Published || IsClosed)
            {
                return false;
            }

            cursor.IsWaiting = true;
            _waiting.Add(cursor);
            return true;
        }
    }

    private void Append(WriteBatch batch, List<int> expiredOffsets)
    {
        uint keyspace = SystemKeys.UserKeyspace(Shard);
        var reader = new WriteBatchReader(batch.Encoded);
        int offset = 0;
        int expired = 0;
        bool any = false;
        while (reader.MoveNext())
        {
            if (!reader.IsPosition && reader.Keyspace == keyspace)
            {
                bool isExpired = expired < expiredOffsets.Count && expiredOffsets[expired] == offset;
                expired += isExpired ? 1 : 0;
                WatchReason reason =
                    reader.Kind != EntryKind.Delete ? WatchReason.Put
                    : isExpired ? WatchReason.Expired
                    : WatchReason.Delete;
                bool byReference = reader.Value.Length > _options.InlineValueBytes;
                _ring!.Add(
                    reason,
                    reader.Version,
                    reader.Key,
                    byReference ? default : reader.Value,
                    EntryHeader.Join(reader.Type, reader.ExpiresAtMs),
                    byReference);
                _waiting.TakeMatching(reader.Key, _toWake);
                any = true;
            }

            offset = batch.ByteCount - reader.RemainingBytes;
        }

        if (any)
        {
            _waiting.TakeEvents(_toWake);
        }

        Invariant.Check(expired == expiredOffsets.Count && !reader.Damaged);
    }

    private void TakeWaiting()
    {
        foreach (ShardCursor cursor in _readers)
        {
            if (cursor.IsWaiting)
            {
                _waiting.Remove(cursor);
                _toWake.Add(cursor);
            }
        }
    }

    private void ResumeAt(Core.Version next, long position)
    {
        foreach (ShardCursor cursor in _toWake)
        {
            cursor.IsWaiting = false;
            cursor.Next = cursor.Next > next ? cursor.Next : next;
            cursor.RingPosition = position;
        }
    }

    // Outside of the lock. Only the worker wakes, so the list is its own.
    private void Wake()
    {
        foreach (ShardCursor cursor in _toWake)
        {
            cursor.Wake();
        }

        _toWake.Clear();
    }
}

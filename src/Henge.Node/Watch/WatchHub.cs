using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Storage;

namespace Henge.Node.Watch;

/// <summary>
/// Where the events of one replica go: a bounded ring of the latest, and those who wait for more. Only the shard's worker publishes; readers are on any thread. The
/// ring is filled only while somebody reads the shard; until then publishing costs one look.
/// </summary>
internal sealed class WatchHub(ShardId shard, WatchOptions? options = null)
{
    private readonly WatchOptions _options = options ?? WatchOptions.Default;
    private readonly Lock _lock = new();
    private EventRing? _ring;
    private List<ShardCursor> _waiting = [];
    private List<ShardCursor> _woken = [];
    private ulong _published;
    private int _readers;

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

    /// <summary>How many read it.</summary>
    public int Readers => Volatile.Read(ref _readers);

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

        if (Volatile.Read(ref _readers) == 0)
        {
            // A reader that comes now takes the lock, and finds the ring empty from what is published on.
            lock (_lock)
            {
                if (_readers == 0)
                {
                    Volatile.Write(ref _published, last.Value);
                    return;
                }
            }
        }

        lock (_lock)
        {
            Append(batch, expiredOffsets);
            Volatile.Write(ref _published, last.Value);
            TakeWaiting();
        }

        WakeTaken();
    }

    /// <summary>The state was replaced, or opened, as of a version: what readers need from before, they read from history. Worker only.</summary>
    public void Reset(Core.Version last)
    {
        lock (_lock)
        {
            _ring?.Clear(last.Next);
            Volatile.Write(ref _published, last.Value);
            TakeWaiting();
        }

        WakeTaken();
    }

    /// <summary>Somebody begins to read.</summary>
    public void AddReader()
    {
        lock (_lock)
        {
            if (_readers++ == 0)
            {
                _ring ??= new EventRing(_options.RingBytes);
                _ring.Clear(Published.Next);
            }
        }
    }

    /// <summary>Somebody reads no more.</summary>
    public void RemoveReader(ShardCursor cursor)
    {
        lock (_lock)
        {
            if (cursor.IsWaiting)
            {
                ShardCursor moved = _waiting[^1];
                _waiting[cursor.WaitIndex] = moved;
                moved.WaitIndex = cursor.WaitIndex;
                _waiting.RemoveAt(_waiting.Count - 1);
                cursor.IsWaiting = false;
            }

            if (--_readers == 0)
            {
                _ring = null;
            }
        }
    }

    /// <summary>
    /// Copies events of a range into a buffer, whole versions only, beginning with the cursor's version; moves the cursor behind what was copied or
    /// looked at.
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
                if (recordVersion != version && (position > sliceEnd || items >= limitItems || buffer.WrittenCount >= limitBytes) && version != default)
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

    /// <summary>Waits for the next publication; false when there is something already.</summary>
    public bool Wait(ShardCursor cursor)
    {
        lock (_lock)
        {
            if (cursor.IsWaiting)
            {
                return true;
            }

            if (cursor.SeenPublished != Published)
            {
                return false;
            }

            cursor.IsWaiting = true;
            cursor.WaitIndex = _waiting.Count;
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
        while (reader.MoveNext())
        {
            if (!reader.IsPosition && reader.Keyspace == keyspace)
            {
                bool isExpired = expired < expiredOffsets.Count && expiredOffsets[expired] == offset;
                expired += isExpired ? 1 : 0;
                WatchReason reason = reader.Kind != EntryKind.Delete ? WatchReason.Put : isExpired ? WatchReason.Expired : WatchReason.Delete;
                bool byReference = reader.Value.Length > _options.InlineValueBytes;
                _ring!.Add(reason, reader.Version, reader.Key, byReference ? default : reader.Value, reader.ExpiresAtMs, byReference);
            }

            offset = batch.ByteCount - reader.RemainingBytes;
        }

        Invariant.Check(expired == expiredOffsets.Count && !reader.Damaged);
    }

    private void TakeWaiting()
    {
        foreach (ShardCursor cursor in _waiting)
        {
            cursor.IsWaiting = false;
        }

        // Only the worker takes, so the other list is empty and its own until the next time.
        (_waiting, _woken) = (_woken, _waiting);
    }

    private void WakeTaken()
    {
        foreach (ShardCursor cursor in _woken)
        {
            cursor.Wake();
        }

        _woken.Clear();
    }
}

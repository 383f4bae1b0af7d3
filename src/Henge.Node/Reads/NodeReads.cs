using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Node.Watch;
using Henge.Storage;

namespace Henge.Node.Reads;

/// <summary>
/// Reads of what a node has applied, on the caller's thread, beside the workers. Whether that is recent enough is the read barrier's
/// matter, before. Thread-safe. Errors are <see cref="HengeException"/>: HistoryGone, Unavailable (the node does not carry the shard, or is
/// rebuilding it), Corruption.
/// </summary>
/// <param name="shards">The cluster's shards.</param>
/// <param name="machineOf">The state machine of a shard on this node; null when the node does not carry it.</param>
internal sealed class NodeReads(ShardMap shards, Func<ShardId, ShardStateMachine?> machineOf)
{
    private const int CachedPageItems = 1000;

    /// <summary>The value of a key at a point; false when it is not there. Allocates nothing. Dispose of the value.</summary>
    public static bool TryGet(ShardStateMachine machine, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value)
    {
        var guard = new ReadGuard(machine);
        value = default;
        try
        {
            bool found = machine.Engine.TryGet(SystemKeys.UserKeyspace(machine.Shard), key, point, out value);
            guard.Check(point.At);
            return found;
        }
        catch (Exception e)
        {
            value.Dispose();
            ReportIfDamaged(machine, e);
            if (e is HengeException { Code: ErrorCode.Corruption } && machine.Bugs.AnswersFromDamaged)
            {
                return false;
            }

            throw;
        }
    }

    /// <summary>
    /// The value of a key for a <see cref="OperationKind.Get"/> that was granted; false when it is not there. Dispose of the value.
    /// </summary>
    public static bool TryRead(Operation get, ShardStateMachine machine, NodeContext node, out PinnedValue value)
    {
        ReadPoint point = get.ReadVersion.IsZero
            ? new ReadPoint(Core.Version.Max, get.Version.Milliseconds)
            : ReadPoint.AsOf(get.ReadVersion);
        bool found = TryGet(machine, get.Key.Span, point, out value);
        if (get.LeaseEndsAtTick != 0 && node.NowTicks >= get.LeaseEndsAtTick)
        {
            // The answer leaves later than the lease held: the clock may have caught up with a pause that it had not counted when the read
            // was admitted (decision 0137).
            value.Dispose();
            throw new HengeException(
                ErrorCode.Unavailable,
                "The leader's lease ended before the read was answered, so that it is not sure to be up to date. Try again.");
        }

        return found;
    }

    /// <summary>
    /// As <see cref="TryGet(ShardStateMachine, ReadOnlySpan{byte}, ReadPoint, out PinnedValue)"/>, for the shard of the key.
    /// </summary>
    public bool TryGet(ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value) =>
        TryGet(MachineOf(shards.ShardOf(key)), key, point, out value);

    /// <summary>One page of a range over all shards, as of one version, as far as they are.</summary>
    public ScanEnd Scan(in ScanQuery query, IScanReceiver receiver) => Scan(query, receiver, only: null, fetched: null, required: default);

    /// <summary>
    /// A page of which a part may have been fetched from other nodes; or of some shards only, where they are named. Unavailable when a
    /// shard is not at <see cref="PageFetch.Required"/>.
    /// </summary>
    public ScanEnd Read(PageFetch page, IScanReceiver receiver, IReadOnlyList<ShardId>? only = null)
    {
        if (page.IsHistory)
        {
            return page.Pages.Count > 0
                ? History(page.Pages[0], receiver)
                : History(page.Query.Lower, page.Query.Version, page.Query.LimitItems, receiver, page.Required);
        }

        if (page.Pages.Count == 0)
        {
            return Scan(page.Query, receiver, only, fetched: null, page.Required);
        }

        ScanQuery query = page.Bounded(out bool isCut);
        ScanEnd end = Scan(query, receiver, only, page, page.Required);

        // Up to where all have been read there is no more; behind that, nobody knows yet.
        return isCut && !end.More ? end with { More = true, NextKey = (query.Reverse ? query.Lower : query.Upper).ToArray() } : end;
    }

    private ScanEnd Scan(
        in ScanQuery query,
        IScanReceiver receiver,
        IReadOnlyList<ShardId>? only,
        PageFetch? fetched,
        Core.Version required)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(query.LimitItems, 1, nameof(query));
        if (!query.Upper.IsEmpty && query.Lower.Span.SequenceCompareTo(query.Upper.Span) >= 0)
        {
            return new ScanEnd(0, false, null);
        }

        using var merge = new ShardMerge(query.Reverse, only?.Count ?? shards.Count);
        var range = KeyRange.Between(query.Lower, query.Upper);
        var added = new List<ShardId>(only?.Count ?? shards.Count);
        if (only is not null)
        {
            foreach (ShardId shard in only)
            {
                Add(merge, shard, query, required);
                added.Add(shard);
            }
        }
        else if (range.IsOneKey && fetched is null)
        {
            ShardId shard = shards.ShardOf(query.Lower.Span);
            Add(merge, shard, query, required);
            added.Add(shard);
        }
        else
        {
            for (uint s = 0; s < shards.Count; s++)
            {
                ShardId shard = new(s);
                if (fetched?.Has(shard) != true && (!range.IsOneKey || shard == shards.ShardOf(query.Lower.Span)))
                {
                    Add(merge, shard, query, required);
                    added.Add(shard);
                }
            }
        }

        foreach (RemotePage page in fetched?.Pages ?? [])
        {
            merge.Add(page.Iterate(query.Lower, query.Upper));
        }

        try
        {
            return Page(merge, query, receiver);
        }
        catch (HengeException e)
        {
            if (merge.IndexOfCurrent is >= 0 and int current && current < added.Count)
            {
                ReportIfDamaged(MachineOf(added[current]), e);
            }

            throw;
        }
    }

    /// <summary>
    /// The versions that a key has had, newest first, from one on down to the oldest that is kept: those above the floor, and the value
    /// that was there at the floor.
    /// </summary>
    public ScanEnd History(ReadOnlyMemory<byte> key, Core.Version newest, int limit, IScanReceiver receiver) =>
        History(key, newest, limit, receiver, required: default);

    private ScanEnd History(ReadOnlyMemory<byte> key, Core.Version newest, int limit, IScanReceiver receiver, Core.Version required)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        ShardStateMachine machine = MachineOf(shards.ShardOf(key.Span));
        RequireAt(machine, required);
        try
        {
            return History(machine, key, newest, limit, receiver);
        }
        catch (HengeException e)
        {
            ReportIfDamaged(machine, e);
            throw;
        }
    }

    private static ScanEnd History(
        ShardStateMachine machine,
        ReadOnlyMemory<byte> key,
        Core.Version newest,
        int limit,
        IScanReceiver receiver)
    {
        var guard = new ReadGuard(machine);
        Core.Version applied = machine.LastVersion;
        var upper = new byte[key.Length + 1];
        key.Span.CopyTo(upper);
        using EngineIterator versions = machine.Engine.CreateIterator(new IteratorOptions
        {
            Keyspace = SystemKeys.UserKeyspace(machine.Shard),
            Point = new ReadPoint(newest, 0),
            Lower = key,
            Upper = upper,
            AllVersions = true,
            FillCache = true,
        });
        Core.Version floor = machine.HistoryFloor;
        guard.Check(newest);
        int items = 0;
        for (versions.SeekToFirst(); versions.Valid; versions.Next())
        {
            bool atFloor = versions.Version <= floor;
            if (atFloor && (versions.Kind == EntryKind.Delete || (versions.ExpiresAtMs != 0 && versions.ExpiresAtMs <= floor.Milliseconds)))
            {
                break;
            }

            if (items == limit)
            {
                return new ScanEnd(items, true, null, applied);
            }

            receiver.OnItem(versions.Key, versions.Value, versions.Version, versions.Kind, versions.ExpiresAtMs);
            items++;
            if (atFloor)
            {
                break;
            }
        }

        return new ScanEnd(items, false, null, applied);
    }

    private static ScanEnd History(RemotePage page, IScanReceiver receiver)
    {
        using EngineIterator versions = page.Iterate(default, default);
        for (versions.SeekToFirst(); versions.Valid; versions.Next())
        {
            receiver.OnItem(versions.Key, versions.Value, versions.Version, versions.Kind, versions.ExpiresAtMs);
        }

        return new ScanEnd(page.Count, page.HasMore, null, page.Applied);
    }

    private static ScanEnd Page(ShardMerge merge, in ScanQuery query, IScanReceiver receiver)
    {
        int items = 0;
        long bytes = 0;
        byte[] last = [];
        int lastLength = 0;
        for (; merge.Current is { } entry; merge.MoveNext())
        {
            long size = entry.Key.Length + (query.KeysOnly ? 0L : entry.Value.Length);
            if (items == query.LimitItems || (items > 0 && bytes + size > query.LimitBytes))
            {
                return new ScanEnd(items, true, query.Reverse ? last[..lastLength] : entry.Key.ToArray());
            }

            receiver.OnItem(entry.Key, query.KeysOnly ? default : entry.Value, entry.Version, entry.Kind, entry.ExpiresAtMs);
            items++;
            bytes += size;
            if (query.Reverse)
            {
                // A reverse scan goes on below the last key that it gave.
                lastLength = entry.Key.Length;
                last = last.Length >= lastLength ? last : new byte[Math.Max(lastLength, 256)];
                entry.Key.CopyTo(last);
            }
        }

        return new ScanEnd(items, false, null);
    }

    private void Add(ShardMerge merge, ShardId shard, in ScanQuery query, Core.Version required)
    {
        ShardStateMachine machine = MachineOf(shard);
        var guard = new ReadGuard(machine);
        RequireAt(machine, required);
        try
        {
            merge.Add(machine.Engine.CreateIterator(new IteratorOptions
            {
                Keyspace = SystemKeys.UserKeyspace(shard),
                Point = ReadPoint.AsOf(query.Version),
                Lower = query.Lower,
                Upper = query.Upper,
                FillCache = query.LimitItems <= CachedPageItems,
            }));
        }
        catch (HengeException e)
        {
            ReportIfDamaged(machine, e);
            throw;
        }

        guard.Check(query.Version);
    }

    // It may have begun here after the barrier, which then asked another replica of the shard.
    private static void RequireAt(ShardStateMachine machine, Core.Version required)
    {
        if (machine.LastVersion < required)
        {
            throw new HengeException(
                ErrorCode.Unavailable,
                $"The replica of {machine.Shard} on this node has not come to version {required} yet. Try again.");
        }
    }

    private static void ReportIfDamaged(ShardStateMachine machine, Exception error)
    {
        if (error is HengeException { Code: ErrorCode.Corruption } damage)
        {
            machine.ReportDamage(damage);
        }
    }

    private ShardStateMachine MachineOf(ShardId shard) =>
        machineOf(shard) ?? throw new HengeException(ErrorCode.Unavailable, $"This node does not carry shard {shard}. Ask another node.");
}

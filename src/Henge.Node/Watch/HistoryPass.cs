using System.Runtime.InteropServices;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Storage;

namespace Henge.Node.Watch;

/// <summary>
/// One pass over the engine for the events of a range from a version on, in the order of versions. The engine gives them in key order, so
/// the pass keeps the lowest versions that fit its bounds and, when there were more, ends before the first that it dropped: the next pass
/// goes on there. Not thread-safe.
/// </summary>
/// <remarks>
/// A tombstone does not say why it is there, and need not: deletions of keys that are not there write none, so one whose key had no visible
/// value just before it ended a value whose time had come (decision 0071).
/// </remarks>
internal sealed class HistoryPass : IDisposable
{
    private readonly record struct Found(ulong Version, int KeyAt, int KeyLength, EntryKind Kind);

    private readonly ShardStateMachine _machine;
    private readonly HistoryBudget _budget;
    private readonly int _epoch;
    private readonly Core.Version _from;
    private readonly int _limitKeyBytes;
    private IEngineSnapshot? _snapshot;
    private EngineIterator? _entries;
    private List<Found> _found = [];
    private byte[] _keys = new byte[1024];
    private int _keysLength;
    private Core.Version _end;
    private int _next;
    private int _limitEvents;
    private bool _started;
    private bool _disposed;

    private HistoryPass(
        ShardStateMachine machine,
        HistoryBudget budget,
        int epoch,
        IEngineSnapshot snapshot,
        EngineIterator entries,
        Core.Version from,
        Core.Version end)
    {
        _machine = machine;
        _budget = budget;
        _epoch = epoch;
        _snapshot = snapshot;
        _entries = entries;
        _from = from;
        _end = end;
        (_limitEvents, _limitKeyBytes) = budget.Enter();
    }

    /// <summary>True when all events of the pass are known, and can be given.</summary>
    public bool IsCollected { get; private set; }

    /// <summary>True when all events of the pass were given.</summary>
    public bool IsDone => IsCollected && _next == _found.Count;

    /// <summary>True when giving broke off in the middle of a version.</summary>
    public bool IsWithinVersion { get; private set; }

    /// <summary>The pass holds all events below this version.</summary>
    public Core.Version End => _end;

    /// <summary>
    /// Begins a pass. Throws <see cref="HengeException"/>: HistoryGone when events from the version on may be missing; Unavailable while
    /// the state is being replaced.
    /// </summary>
    public static HistoryPass Begin(ShardStateMachine machine, HistoryBudget budget, KeyRange range, Core.Version from)
    {
        int epoch = machine.Epoch;
        Core.Version last = machine.LastVersion;
        IEngineSnapshot snapshot = machine.Engine.CreateSnapshot();
        try
        {
            EngineIterator entries = snapshot.CreateIterator(new IteratorOptions
            {
                Keyspace = SystemKeys.UserKeyspace(machine.Shard),
                Point = new ReadPoint(last, 0),
                Lower = range.Start,
                Upper = range.End,
                AllVersions = true,
                From = from,
            });

            // After the snapshot: what is not gone now was not gone then.
            Core.Version floor = machine.HistoryFloor;
            if ((epoch & 1) != 0 || machine.Epoch != epoch)
            {
                entries.Dispose();
                throw new HengeException(
                    ErrorCode.Unavailable,
                    $"Shard {machine.Shard} is being rebuilt from a peer on this node. Try again.");
            }

            if (from <= floor && !floor.IsZero)
            {
                entries.Dispose();
                throw HistoryGone(from, floor);
            }

            return new HistoryPass(machine, budget, epoch, snapshot, entries, from, last.Next);
        }
        catch
        {
            snapshot.Dispose();
            throw;
        }
    }

    /// <summary>The error of a watch that needs events which may be missing.</summary>
    public static HengeException HistoryGone(Core.Version from, Core.Version floor) =>
        new(
            ErrorCode.HistoryGone,
            $"Events from version {from} on are not all kept any more: history begins after version {floor}. Read the keys as they are "
                + $"now, and watch from there.");

    /// <summary>
    /// True when the state was replaced since the pass began: what it collected may be of another past, so it must begin again.
    /// </summary>
    public bool IsStale => _machine.Epoch != _epoch;

    /// <summary>Collects for some steps; true when it is finished. From then on the pass holds nothing of the engine's.</summary>
    public bool Collect(int steps)
    {
        if (IsCollected)
        {
            return true;
        }

        if (!_started)
        {
            _entries!.SeekToFirst();
            _started = true;
        }

        for (; steps > 0 && _entries!.Valid; steps--, _entries.Next())
        {
            if (_entries.Version >= _from && _entries.Version < _end)
            {
                Add(_entries.Version, _entries.Key, _entries.Kind);
            }
        }

        if (!_entries!.Valid)
        {
            _found.Sort(static (a, b) => a.Version.CompareTo(b.Version));
            IsCollected = true;
            ReleaseEvents();
        }

        return IsCollected;
    }

    /// <summary>
    /// Gives the events of the next version; false when there are no more. The version goes out whole. Throws <see cref="HengeException"/>
    /// (HistoryGone) when values have been collected since: the reader was too slow.
    /// </summary>
    public bool TryDeliver(IWatchReceiver receiver, bool previousValues, out Core.Version version, out int items, out int bytes)
    {
        items = 0;
        bytes = 0;
        version = default;
        if (_next == _found.Count)
        {
            return false;
        }

        version = new Core.Version(_found[_next].Version);
        int next = _next;
        for (; next < _found.Count && _found[next].Version == version.Value; next++)
        {
            bytes += Give(_found[next], receiver, previousValues);
            items++;
            IsWithinVersion = true;
        }

        IsWithinVersion = false;
        _next = next;
        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            ReleaseEvents();
            _budget.Leave();
        }
    }

    private void ReleaseEvents()
    {
        _entries?.Dispose();
        _snapshot?.Dispose();
        _entries = null;
        _snapshot = null;
    }

    private int Give(in Found found, IWatchReceiver receiver, bool previousValues)
    {
        ReadOnlySpan<byte> key = Key(found);
        var version = new Core.Version(found.Version);
        var before = new Core.Version(version.Value - 1);
        bool isPut = found.Kind != EntryKind.Delete;
        PinnedValue value = default;
        bool there = !isPut || (TryGet(key, new ReadPoint(version, 0), out value) && value.Version == version);
        WatchReason reason = WatchReason.Put;
        PinnedValue previous = default;
        bool had = false;
        if (!isPut)
        {
            had = TryGet(key, new ReadPoint(before, version.Milliseconds), out previous);
            reason = had ? WatchReason.Delete : WatchReason.Expired;
        }

        if (previousValues && !had)
        {
            // The value that ended by itself is not visible at the moment of its end.
            had = TryGet(key, new ReadPoint(before, reason == WatchReason.Expired ? 0 : version.Milliseconds), out previous);
        }

        try
        {
            // After the reads: above the floor nothing had been collected when they were done.
            Core.Version floor = _machine.HistoryFloor;
            if (version <= floor)
            {
                throw HistoryGone(version, floor);
            }

            if (IsStale)
            {
                throw new HengeException(
                    ErrorCode.Unavailable,
                    $"Shard {_machine.Shard} is being rebuilt from a peer on this node. Try again.");
            }

            if (!there)
            {
                throw new HengeException(
                    ErrorCode.Corruption,
                    $"Version {version} of a key of shard {_machine.Shard} was there, and cannot be read. Run the storage check on this "
                        + $"node.");
            }

            receiver.OnEvent(View(reason, key, value, version, had && previousValues, previous));
            return key.Length + value.Span.Length + (previousValues ? previous.Span.Length : 0);
        }
        finally
        {
            value.Dispose();
            previous.Dispose();
        }
    }

    private bool TryGet(ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value) =>
        _machine.Engine.TryGet(SystemKeys.UserKeyspace(_machine.Shard), key, point, out value);

    private static WatchEventView View(
        WatchReason reason,
        ReadOnlySpan<byte> key,
        in PinnedValue value,
        Core.Version version,
        bool hasPrevious,
        in PinnedValue previous) =>
        new()
        {
            Reason = reason,
            Key = key,
            Value = value.Span,
            Type = value.Type,
            Version = version,
            ExpiresAtMs = value.ExpiresAtMs,
            HasPrevious = hasPrevious,
            PreviousValue = hasPrevious ? previous.Span : default,
            PreviousType = hasPrevious ? previous.Type : default,
            PreviousVersion = hasPrevious ? previous.Version : default,
        };

    private void Add(Core.Version version, ReadOnlySpan<byte> key, EntryKind kind)
    {
        // The versions of one key come one after another: its bytes are kept once.
        int at = _found.Count > 0 && Key(_found[^1]).SequenceEqual(key) ? _found[^1].KeyAt : -1;
        if (at < 0)
        {
            if (_keysLength + key.Length > _keys.Length)
            {
                Array.Resize(ref _keys, Math.Max(_keysLength + key.Length, _keys.Length * 2));
            }

            at = _keysLength;
            key.CopyTo(_keys.AsSpan(at));
            _keysLength += key.Length;
        }

        _found.Add(new Found(version.Value, at, key.Length, kind));
        if (_found.Count > _limitEvents || (_keysLength > _limitKeyBytes && _found.Count > _limitEvents / 1024))
        {
            KeepOldestHalf();
        }
    }

    private ReadOnlySpan<byte> Key(in Found found) => _keys.AsSpan(found.KeyAt, found.KeyLength);

    // Keeps the lower half of the versions; all events of one version stay or go together.
    private void KeepOldestHalf()
    {
        List<Found> byVersion = [.. _found];
        byVersion.Sort(static (a, b) => a.Version.CompareTo(b.Version));
        ulong cut = byVersion[byVersion.Count / 2].Version;
        if (cut == byVersion[0].Version)
        {
            // One transaction is more than half: it must stay whole.
            int after = byVersion.FindIndex(f => f.Version > cut);
            if (after < 0)
            {
                _limitEvents = _found.Count * 2;
                return;
            }

            cut = byVersion[after].Version;
        }

        _end = new Core.Version(cut);
        List<Found> kept = [];
        byte[] keys = new byte[_keys.Length];
        int length = 0;
        foreach (ref readonly Found found in CollectionsMarshal.AsSpan(_found))
        {
            if (found.Version >= cut)
            {
                continue;
            }

            // In key order still, so equal keys are neighbours.
            if (kept.Count > 0 && keys.AsSpan(kept[^1].KeyAt, kept[^1].KeyLength).SequenceEqual(Key(found)))
            {
                kept.Add(found with { KeyAt = kept[^1].KeyAt });
                continue;
            }

            Key(found).CopyTo(keys.AsSpan(length));
            kept.Add(found with { KeyAt = length });
            length += found.KeyLength;
        }

        _found = kept;
        _keys = keys;
        _keysLength = length;
    }
}

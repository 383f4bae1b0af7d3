using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Reads;
using Henge.Node.StateMachine;
using Henge.Node.Tests.StateMachine;
using Henge.Node.Watch;
using Henge.Storage;
using Henge.Storage.Memory;

namespace Henge.Node.Tests.Watch;

/// <summary>Several shards over one engine, with reads and watches over them.</summary>
internal sealed class ShardedHarness
{
    public ShardedHarness(int shards, WatchOptions? watch = null, IStorageEngine? engine = null, NodeLimits? limits = null)
    {
        Engine = engine ?? new MemoryEngine();
        History = new HistoryWindow(Engine);
        Map = new ShardMap(shards);
        Watching = watch ?? WatchOptions.Default;
        Machines =
        [
            .. Enumerable
                .Range(0, shards)
                .Select(s =>
                    ShardStateMachine.Open(
                        new ShardId((uint)s),
                        Engine,
                        History,
                        new WatchHub(new ShardId((uint)s), Watching),
                        StateMachineOptions.Default)),
        ];
        Watches = new WatchService(Map, s => Machines[s.Value], limits ?? new NodeLimits(), Watching, static () => true);
        Reads = new NodeReads(Map, s => Machines[s.Value]);
        foreach (ShardStateMachine machine in Machines)
        {
            if (machine.LastVersion.IsZero)
            {
                // As a shard's first leader does.
                Apply(machine.Shard.Value, EntryBuilder.Advance(Core.Version.First));
            }
        }
    }

    public IStorageEngine Engine { get; }

    public HistoryWindow History { get; }

    public ShardMap Map { get; }

    public WatchOptions Watching { get; }

    public ShardStateMachine[] Machines { get; }

    public WatchService Watches { get; }

    public NodeReads Reads { get; }

    public long NowMs { get; set; } = 1_000_000;

    public Core.Version NextVersion(ShardStateMachine machine, long nowMs)
    {
        Core.Version now = Core.Version.FromMilliseconds(nowMs);
        return now > machine.LastVersion ? now : machine.LastVersion.Next;
    }

    public void Apply(uint shard, byte[] payload, IApplyObserver? observer = null)
    {
        Machines[shard].ApplyEntry(Machines[shard].AppliedIndex.Next, payload, observer);
        Machines[shard].CommitBatch();
    }

    public Core.Version Put(string key, string value, PutOptions options = default) => Do(key, MachineHarness.Put(key, value, options));

    public Core.Version Delete(string key) => Do(key, MachineHarness.Delete(key));

    public Core.Version Do(string key, byte[] command)
    {
        ShardStateMachine machine = Machines[Map.ShardOf(MachineHarness.Bytes(key)).Value];
        var entry = new EntryBuilder();
        entry.Add(command);
        Apply(machine.Shard.Value, entry.ToArray(NextVersion(machine, NowMs)));
        return machine.LastVersion;
    }

    /// <summary>Closes history of all shards up to now, and returns the version.</summary>
    public Core.Version Advance()
    {
        Core.Version version = Core.Version.FromMilliseconds(NowMs);
        version = new Core.Version(Math.Max(version.Value, Machines.Max(static m => m.LastVersion.Value) + 1));
        foreach (ShardStateMachine machine in Machines)
        {
            Apply(machine.Shard.Value, EntryBuilder.Advance(version));
        }

        return version;
    }

    public int Expire(uint shard)
    {
        var entry = new EntryBuilder();
        int due = Machines[shard].CollectDue(NowMs, 100, entry);
        if (due > 0)
        {
            Apply(shard, entry.ToArray(NextVersion(Machines[shard], NowMs)));
        }

        return due;
    }
}

/// <summary>Keeps what a watch gives, as text.</summary>
internal sealed class WatchRecorder : IWatchReceiver
{
    public List<string> Events { get; } = [];

    public List<Core.Version> Marks { get; } = [];

    public static string Describe(
        WatchReason reason,
        string key,
        string value,
        Core.Version version,
        long expiresAtMs,
        string? previous,
        Core.Version previousVersion
    ) => $"{version} {reason} {key} = {value} until {expiresAtMs}, was {previous ?? "-"} of {previousVersion}";

    public void OnEvent(in WatchEventView e)
    {
        if (e.Reason == WatchReason.Progress)
        {
            Marks.Add(e.Version);
            return;
        }

        Events.Add(
            Describe(
                e.Reason,
                MachineHarness.Text(e.Key),
                MachineHarness.Text(e.Value),
                e.Version,
                e.ExpiresAtMs,
                e.HasPrevious ? MachineHarness.Text(e.PreviousValue) : null,
                e.PreviousVersion));
    }
}

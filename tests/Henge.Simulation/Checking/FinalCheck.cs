using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Storage;

namespace Henge.Simulation.Checking;

/// <summary>
/// What must hold when the world has come to rest: the cluster's own history is held against everything that clients saw.
/// </summary>
internal sealed class FinalCheck(SimCluster cluster, SimHistory history, IReadOnlyList<SimWatcher> watchers)
{
    /// <summary>One write as the cluster remembers it; value 0 is a deletion.</summary>
    private readonly record struct Event(ulong Version, long Value, long ExpiresAtMs = 0);

    private readonly SortedDictionary<string, List<Event>> _truth = new(StringComparer.Ordinal);

    /// <summary>Throws <see cref="SimulationException"/> at the first thing that is wrong.</summary>
    public void Run()
    {
        CompareStates();
        ReadTruth();
        CheckWrites();
        CheckUnwritten();
        CheckReads();
        CheckScans();
        CheckPast();
        CheckWatchers();
        CheckPipelines();
        foreach ((string key, List<KeyOperation> operations) in history.Keys)
        {
            if (
                LinearizabilityChecker.Check(
                    operations,
                    _truth[key].Where(static e => e.Value != 0).Select(static e => KeyValuePair.Create(e.Value, e.Version))
                ) is
                { } problem)
            {
                throw new SimulationException($"{key} is not linearizable: {problem}");
            }
        }
    }

    private void CompareStates()
    {
        for (int shard = 0; shard < cluster.Shards; shard++)
        {
            // A key that ends after the cluster has settled is deleted by one more entry, which not every replica has applied yet: such are
            // compared with their like.
            foreach (
                IGrouping<LogIndex, ShardStateMachine> alike in cluster
                    .Nodes.Where(n => !cluster.MayBeUnreadable(n)).Select(n => n.ReplicaOf(shard)?.Machine)
                    .OfType<ShardStateMachine>()
                    .GroupBy(static m => m.AppliedIndex))
            {
                ulong[] hashes = [.. alike.Select(static m => m.StateHash())];
                if (hashes.Distinct().Count() > 1)
                {
                    throw new SimulationException(
                        $"shard {shard}: equal applied index {alike.Key}, different states: {string.Join(", ", hashes)}");
                }
            }
        }
    }

    private void ReadTruth()
    {
        foreach (byte[] key in cluster.Keys.Concat(cluster.PipelineKeys).Concat(cluster.HashKeys))
        {
            string name = Encoding.ASCII.GetString(key);
            List<Event>? first = null;
            foreach (SimNode node in cluster.ServersOf(key))
            {
                var collector = new Collector();
                node.Node!.History(key, Core.Version.Max, int.MaxValue, collector);
                collector.Events.Reverse();
                if (first is not null && !first.SequenceEqual(collector.Events))
                {
                    throw new SimulationException($"{name}: nodes remember different histories.");
                }

                first = collector.Events;
            }

            _truth[name] = first!;
        }

        Dictionary<long, ulong> voided = history
            .Voided.Where(static v => v.Value != 0)
            .ToDictionary(static v => v.Value, static v => v.Version);
        foreach ((string key, List<Event> truth) in _truth)
        {
            foreach (Event late in truth.Where(e => voided.TryGetValue(e.Value, out ulong version) && e.Version > version))
            {
                throw new SimulationException(
                    $"{key}: value {late.Value} took effect at version {late.Version}, and its number had been used up at "
                        + $"{voided[late.Value]}.");
            }
        }

        // What is written to hashes is told by the hash as a whole, and checked by itself.
        HashSet<string> ofHashes = [.. cluster.HashKeys.Select(Encoding.ASCII.GetString)];
        IEnumerable<Event> plain = _truth.Where(t => !ofHashes.Contains(t.Key)).SelectMany(static t => t.Value);
        foreach (IGrouping<long, long> value in plain.Where(static e => e.Value != 0).Select(static e => e.Value).GroupBy(static v => v))
        {
            if (value.Count() > 1)
            {
                throw new SimulationException(
                    $"value {value.Key} was written {value.Count()} times, so a retry took effect twice: "
                        + string.Join(
                            ", ",
                            _truth.SelectMany(t => t.Value.Where(e => e.Value == value.Key).Select(e => $"{t.Key} at {e.Version}"))));
            }

            if (history.Refused.Contains(value.Key))
            {
                throw new SimulationException($"value {value.Key} is there, and the cluster had said that nothing was done.");
            }
        }
    }

    private void CheckWrites()
    {
        foreach ((string key, List<KeyOperation> operations) in history.Keys)
        {
            List<Event> truth = _truth[key];
            foreach (KeyOperation operation in operations)
            {
                bool writes = operation.Action is KeyAction.Write or KeyAction.WriteIf;
                if (operation.Outcome != KeyOutcome.Ok || !writes)
                {
                    continue;
                }

                int at = truth.FindIndex(e => e.Version == operation.Version);
                if (at < 0 || truth[at].Value != operation.Value)
                {
                    throw new SimulationException($"{key}: an acknowledged write is lost: {operation}");
                }

                ulong before = at > 0 && truth[at - 1].Value != 0 ? truth[at - 1].Version : 0;
                if (operation.Action == KeyAction.WriteIf && before != operation.Condition)
                {
                    throw new SimulationException($"{key}: a write on a condition followed version {before}: {operation}");
                }
            }
        }
    }

    // A transaction goes through when nothing was written since, and only then: a deletion counts as well. It may also refuse when the
    // shard has gone on for longer than all replicas are sure to remember.
    private void CheckUnwritten()
    {
        foreach (UnwrittenCompare compare in history.Unwritten)
        {
            Event between = _truth[compare.Key].FirstOrDefault(e => e.Version > compare.Since && e.Version < compare.Version);
            bool isOld = new Core.Version(compare.Version).Milliseconds - new Core.Version(compare.Since).Milliseconds
                > HistoryWindow.AlwaysKeptMs;
            if (compare.Held ? between.Version != 0 : between.Version == 0 && !isOld)
            {
                throw new SimulationException(
                    $"{compare.Key}: a transaction at {compare.Version} {(compare.Held ? "went through" : "was refused")} on the condition "
                        + $"that nothing was written after {compare.Since}; written at {between.Version}.");
            }
        }
    }

    private void CheckReads()
    {
        foreach ((string key, List<KeyOperation> operations) in history.Keys)
        {
            foreach (
                KeyOperation read in operations.Where(static o => o is { Action: KeyAction.Read, Outcome: KeyOutcome.Ok } && o.Value != 0))
            {
                if (!_truth[key].Contains(new Event(read.Version, read.Value)))
                {
                    throw new SimulationException($"{key}: a read saw what never was: {read}");
                }
            }
        }
    }

    /// <summary>
    /// A scan is one cut through all shards: exactly what was there at its version, with all that had been acknowledged before it began.
    /// </summary>
    private void CheckScans()
    {
        foreach (ScanRecord scan in history.Scans)
        {
            foreach ((string key, List<Event> truth) in _truth)
            {
                Event expected = At(truth, scan.Version);
                (long value, ulong version) = scan.Found.GetValueOrDefault(key);
                if (value != expected.Value || (value != 0 && version != expected.Version))
                {
                    throw new SimulationException(
                        $"a scan ({scan.Call}..{scan.Return}) as of {scan.Version} saw {key} = {value} at {version}; it was "
                            + $"{expected.Value} at {expected.Version}: "
                            + $"{history.Keys.GetValueOrDefault(key, []).FirstOrDefault(o => o.Value == expected.Value)}");
                }

                foreach (
                    KeyOperation write in history
                        .Keys.GetValueOrDefault(key, [])
                        .Where(static o => o is { Outcome: KeyOutcome.Ok, Action: KeyAction.Write or KeyAction.WriteIf }))
                {
                    if (
                        (write.Return < scan.Call && write.Version > scan.Version)
                        || (write.Call > scan.Return && write.Version <= scan.Version))
                    {
                        throw new SimulationException(
                            $"a scan as of {scan.Version} ({scan.Call}..{scan.Return}) is on the wrong side of a write of {key}: {write}");
                    }
                }
            }
        }
    }

    private void CheckPast()
    {
        foreach (PastRead read in history.PastReads)
        {
            Event expected = At(_truth[read.Key], read.At);
            if (expected.Value != read.Value || (read.Value != 0 && expected.Version != read.Version))
            {
                throw new SimulationException(
                    $"{read.Key} as of {read.At} was read as {read.Value} at {read.Version}; it was {expected.Value} at {expected.Version}."
                );
            }
        }
    }

    private static Event At(List<Event> truth, ulong version)
    {
        Event last = truth.LastOrDefault(e => e.Version <= version);
        return last.ExpiresAtMs != 0 && last.ExpiresAtMs <= new Core.Version(version).Milliseconds ? default : last;
    }

    private void CheckWatchers()
    {
        for (int i = 0; i < watchers.Count; i++)
        {
            foreach ((string key, List<Event> all) in _truth)
            {
                List<Event> truth =
                [
                    .. all.Where(e => e.Version >= watchers[i].Start.Value).Select(static e => e with { ExpiresAtMs = 0 }),
                ];
                List<Event> seen = [.. watchers[i].Seen.GetValueOrDefault(key, []).Select(static e => new Event(e.Version, e.Value))];
                if (!seen.SequenceEqual(truth))
                {
                    int at = seen.Zip(truth).TakeWhile(static p => p.First == p.Second).Count();
                    throw new SimulationException(
                        $"watcher {i} of {key}: saw {seen.Count} events of {truth.Count}; the first difference is event {at}: saw "
                            + $"{(at < seen.Count ? seen[at] : null)}, was {(at < truth.Count ? truth[at] : null)}.");
                }
            }
        }
    }

    /// <summary>
    /// What one connection wrote took effect in the order in which it was sent, and what it read had seen what it wrote before.
    /// </summary>
    private void CheckPipelines()
    {
        foreach (PipelineRecord pipeline in history.Pipelines)
        {
            Dictionary<long, ulong> versions = _truth[pipeline.Key].ToDictionary(static e => e.Value, static e => e.Version);
            ulong last = 0, acknowledged = 0;
            foreach (PipelinedOperation operation in pipeline.Operations)
            {
                if (operation.Value == 0)
                {
                    if (operation.IsOk && operation.Version < acknowledged)
                    {
                        throw new SimulationException(
                            $"{pipeline.Key}: a read of a pipeline saw version {operation.Version}, and an earlier write of the same "
                                + $"pipeline had got version {acknowledged}.");
                    }

                    continue;
                }

                bool happened = versions.TryGetValue(operation.Value, out ulong version);
                if (operation.IsOk && (!happened || version != operation.Version))
                {
                    throw new SimulationException(
                        $"{pipeline.Key}: an acknowledged write of a pipeline is lost: value {operation.Value} at {operation.Version}.");
                }

                if (happened && version < last)
                {
                    throw new SimulationException(
                        $"{pipeline.Key}: value {operation.Value} took effect at version {version}, and one that was sent before it at "
                            + $"{last}.");
                }

                last = happened ? version : last;
                acknowledged = operation.IsOk ? version : acknowledged;
            }
        }
    }

    private sealed class Collector : IScanReceiver
    {
        public List<Event> Events { get; } = [];

        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs) =>
            Events.Add(
                new Event(version.Value, kind == EntryKind.Delete ? 0 : SimValue.NumberOf(value, SimValue.TypeOf(kind)), expiresAtMs));
    }
}

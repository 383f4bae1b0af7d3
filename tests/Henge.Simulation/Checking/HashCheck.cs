using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Storage;
using Version = Henge.Core.Version;

namespace Henge.Simulation.Checking;

/// <summary>
/// Holds what clients of hashes saw against a model. Versions rise in the order of the log, so they are the order in which writes took
/// effect: each result must be what the model says at its version, each state that history keeps must be what one write (or an expiry)
/// made of the one before, no write may have done so twice, and that order must agree with the times at which clients called and were
/// answered. So the history of each key is linearizable, with the versions as its witness (decision 0164).
/// </summary>
internal sealed class HashCheck(SimCluster cluster, SimHistory history)
{
    /// <summary>What a key holds from a version on; <paramref name="ExpiresAtMs"/> 0: for ever.</summary>
    private readonly record struct State(ulong Version, HashContent Content, long ExpiresAtMs)
    {
        public State At(Version version) => ExpiresAtMs != 0 && ExpiresAtMs <= version.Milliseconds ? default : this;
    }

    /// <summary>Throws <see cref="SimulationException"/> at the first thing that is wrong.</summary>
    public void Run()
    {
        foreach (byte[] key in cluster.HashKeys)
        {
            string name = Encoding.ASCII.GetString(key);
            List<State> truth = Truth(key, name);
            List<HashOperation> writes = [.. history.HashWrites.Where(w => w.Key == name)];
            CheckResults(name, truth, writes);
            CheckStates(name, truth, writes);
            CheckTimes(name, writes);
            CheckReads(name, truth, writes);
        }
    }

    private List<State> Truth(byte[] key, string name)
    {
        List<State>? first = null;
        foreach (SimNode node in cluster.ServersOf(key))
        {
            var collector = new Collector();
            node.Node!.History(key, Version.Max, int.MaxValue, collector);
            collector.States.Reverse();
            if (first is not null && !first.SequenceEqual(collector.States))
            {
                throw new SimulationException(
                    $"{name}: nodes remember different histories of a hash:\n{string.Join('\n', first)}\n or "
                        + $"\n{string.Join('\n', collector.States)}");
            }

            first = collector.States;
        }

        return first!;
    }

    /// <summary>What was told is what the model says at the version that was told.</summary>
    private void CheckResults(string key, List<State> truth, List<HashOperation> writes)
    {
        foreach (HashOperation write in writes.Where(static w => w.Outcome == HashOutcome.Told))
        {
            // A condition that did not hold tells the version of the key, not its own.
            if (write.Result.Status == CommandStatus.ConditionFailed)
            {
                State then = truth.Find(s => s.Version == write.Result.Version.Value);
                if (!then.Content.Fields().Exists(f => f.Field == write.Pairs[0].Field))
                {
                    throw new SimulationException($"{key}: the condition of {write} did not hold, and at that version it did.");
                }

                continue;
            }

            cluster.Statistics.WrongKinds += write.Result.Problem == CommandProblem.WrongKind ? 1 : 0;
            Version version = write.Result.Version;
            State before = At(truth, version.Value - 1).At(version), after = At(truth, version.Value);
            (State expected, CommandResult result) = Apply(write, before, version);
            if (result != write.Result)
            {
                throw new SimulationException($"{key}: {write} should have been told {result}; before it there was {before}.");
            }

            bool emptied = write.Action == HashAction.DeleteFields && before.Content.Exists && !expected.Content.Exists;
            cluster.Statistics.HashesEmptied += emptied ? 1 : 0;
            bool writesNothing = expected == before;
            if (writesNothing ? after.Version == version.Value : after != expected)
            {
                string left = writesNothing ? "everything as it was" : $"{expected}";
                throw new SimulationException(
                    $"{key}: {write} should have left {left}, and there is {after}; before it there was {before}.");
            }
        }
    }

    /// <summary>Each state is what a write, told or of unknown outcome, or an expiry made of the one before; and none made two.</summary>
    private void CheckStates(string key, List<State> truth, List<HashOperation> writes)
    {
        var told = new Dictionary<ulong, HashOperation>();
        foreach (HashOperation write in writes.Where(static w => w.Outcome == HashOutcome.Told && w.Result.Status == CommandStatus.Ok))
        {
            if (!told.TryAdd(write.Result.Version.Value, write))
            {
                throw new SimulationException($"{key}: a version was told twice: {write} and {told[write.Result.Version.Value]}.");
            }
        }

        List<HashOperation> unknown = [.. writes.Where(static w => w.Outcome == HashOutcome.Unknown)];
        State last = default;
        foreach (State state in truth)
        {
            var version = new Version(state.Version);
            State before = last.At(version);
            bool expired = !state.Content.Exists && last.Content.Exists && !before.Content.Exists;
            cluster.Statistics.HashesExpired += expired ? 1 : 0;
            if (!told.ContainsKey(state.Version) && !expired)
            {
                int by = unknown.FindIndex(w => Apply(w, before, version).After == state);
                if (by < 0)
                {
                    throw new SimulationException(
                        $"{key}: nothing that clients sent makes {state} of {before}: a write took effect twice, or wrongly.\n  "
                        + string.Join("\n  ", writes.Where(static w => w.Outcome != HashOutcome.Refused)));
                }

                // What leaves no trace of who did it may have been several times, as far as can be told.
                if (unknown[by].IsUnique)
                {
                    unknown.RemoveAt(by);
                }
            }

            last = state;
        }
    }

    /// <summary>What returned before another was called has the lower version.</summary>
    private static void CheckTimes(string key, List<HashOperation> writes)
    {
        HashOperation? earliest = null;
        foreach (HashOperation write in writes.Where(Counts).OrderByDescending(static w => w.Result.Version))
        {
            if (earliest is not null && earliest.Return < write.Call)
            {
                throw new SimulationException($"{key}: {write} was called after {earliest} had returned, and took effect before it.");
            }

            earliest = earliest is null || write.Return < earliest.Return ? write : earliest;
        }
    }

    private void CheckReads(string key, List<State> truth, List<HashOperation> writes)
    {
        List<HashOperation> told = [.. writes.Where(Counts)];
        List<HashRead> reads = [.. history.HashReads.Where(r => r.Key == key)];
        foreach (HashRead read in reads)
        {
            ulong least = told.Where(w => w.Return < read.Call).Select(static w => w.Result.Version.Value)
                .Concat(reads.Where(r => r.Return < read.Call).Select(static r => r.Version)).DefaultIfEmpty().Max();
            ulong below = told.Where(w => w.Call > read.Return).Select(static w => w.Result.Version.Value)
                .DefaultIfEmpty(ulong.MaxValue).Min();
            State first = At(truth, least);
            bool fits =
                read.Version != 0
                    ? read.Version >= first.Version
                        && read.Version < below
                        && truth.Exists(s => s.Version == read.Version && s.Content == read.Content)
                    : MayBeGone(first) || truth.Exists(s => s.Version > least && s.Version < below && MayBeGone(s));
            if (!fits)
            {
                throw new SimulationException(
                    $"{key}: a read ({read.Call}..{read.Return}) saw {read.Content} of version {read.Version}; "
                    + $"what it may see begins with {first} and ends below {below}.");
            }
        }
    }

    // Versions of conditions that did not hold are not their own.
    private static bool Counts(HashOperation write) =>
        write.Outcome == HashOutcome.Told && write.Result.Status != CommandStatus.ConditionFailed;

    private static bool MayBeGone(State state) => !state.Content.Exists || state.ExpiresAtMs != 0;

    private static State At(List<State> truth, ulong version) => truth.LastOrDefault(s => s.Version <= version);

    /// <summary>The model: what a write makes of a state, and what it tells.</summary>
    private static (State After, CommandResult Result) Apply(HashOperation write, State before, Version version)
    {
        State Left(HashContent content) => new(version.Value, content, content.Exists ? before.ExpiresAtMs : 0);
        CommandResult Ok(long number = 0, bool found = false) => new(CommandStatus.Ok, version, found, number);
        CommandResult Failed(CommandProblem problem) => new(CommandStatus.Failed, version, Problem: problem);

        bool onHash = write.Action is HashAction.Set or HashAction.SetAbsent or HashAction.Increment or HashAction.DeleteFields;
        if (before.Content.Exists && (onHash ? !before.Content.IsHash : write.Action == HashAction.PutForPrevious && before.Content.IsHash))
        {
            return (before, Failed(CommandProblem.WrongKind));
        }

        List<(string Field, string Value)> fields = before.Content.Fields();
        switch (write.Action)
        {
            case HashAction.Set or HashAction.SetAbsent:
                int count = fields.Count;
                if (write.Action == HashAction.SetAbsent && fields.Exists(f => f.Field == write.Pairs[0].Field))
                {
                    return (before, new CommandResult(CommandStatus.ConditionFailed, new Version(before.Version)));
                }

                write.Pairs.ForEach(p => Set(fields, p.Field, p.Value));
                return (Left(HashContent.Hash(fields)), Ok(fields.Count - count));
            case HashAction.Increment:
                string field = write.Pairs[0].Field;
                string text = fields.Find(f => f.Field == field).Value ?? "0";
                if (!long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value))
                {
                    return (before, Failed(CommandProblem.HashValueNotAnInteger));
                }

                Set(fields, field, (value + write.Difference).ToString(CultureInfo.InvariantCulture));
                return (Left(HashContent.Hash(fields)), Ok(value + write.Difference));
            case HashAction.DeleteFields:
                int deleted = fields.RemoveAll(f => write.Pairs.Exists(p => p.Field == f.Field));
                return (deleted == 0 ? before : Left(HashContent.Hash(fields)), Ok(deleted));
            case HashAction.Put or HashAction.PutForPrevious:
                return (new State(version.Value, HashContent.Plain(write.Pairs[0].Value), 0), Ok());
            case HashAction.Expire:
                long end = version.Milliseconds + write.Difference;
                return before.Content.Exists && end == before.ExpiresAtMs ? (before, Ok(1, found: true))
                    : before.Content.Exists ? (before with { Version = version.Value, ExpiresAtMs = end }, Ok(1, found: true))
                    : (before, Ok());
            default:
                return before.Content.Exists ? (new State(version.Value, default, 0), Ok(found: true)) : (before, Ok());
        }
    }

    private static void Set(List<(string Field, string Value)> fields, string field, string value)
    {
        int at = fields.FindIndex(f => f.Field == field);
        if (at < 0)
        {
            fields.Add((field, value));
        }
        else
        {
            fields[at] = (field, value);
        }
    }

    private sealed class Collector : IScanReceiver
    {
        public List<State> States { get; } = [];

        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Version version, EntryKind kind, long expiresAtMs) =>
            States.Add(
                new State(version.Value, kind == EntryKind.Delete ? default : HashContent.Of(value, SimValue.TypeOf(kind)), expiresAtMs));
    }
}

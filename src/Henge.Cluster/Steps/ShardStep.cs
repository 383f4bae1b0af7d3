using Henge.Core;

namespace Henge.Cluster.Steps;

/// <summary>The next step of a shard from where it is to where it shall be. <see cref="Next"/> gives it: a pure function.</summary>
public sealed record ShardStep
{
    private ShardStep(ShardStepKind kind) => Kind = kind;

    /// <summary>What to do.</summary>
    public ShardStepKind Kind { get; private init; }

    /// <summary>Who shall vote, for a change of voters or learners.</summary>
    public IReadOnlyList<NodeId> Voters { get; private init; } = [];

    /// <summary>Who shall learn, for a change of voters or learners.</summary>
    public IReadOnlyList<NodeId> Learners { get; private init; } = [];

    /// <summary>Who shall lead.</summary>
    public NodeId To { get; private init; }

    /// <summary>What it waits for.</summary>
    public StepWait Wait { get; private init; }

    /// <summary>Which members it waits for.</summary>
    public IReadOnlyList<NodeId> WaitsFor { get; private init; } = [];

    /// <summary>How many entries learners of the target lack, together.</summary>
    public ulong EntriesLeft { get; private init; }

    /// <summary>How many bytes of snapshots are still to be sent to learners of the target.</summary>
    public long BytesLeft { get; private init; }

    /// <summary>How many bytes of snapshots that are under way learners of the target have taken in.</summary>
    public long BytesSent { get; private init; }

    /// <summary>
    /// What is to be done next. It holds in whatever order calls come and leaders change, since it goes by the shard's configuration alone:
    /// <list type="bullet">
    /// <item>one change at a time, and none before the one before it is committed;</item>
    /// <item>a new voter is a learner that has caught up and is in touch;</item>
    /// <item>of the new voters, a majority is sound: in touch, whole, caught up; and as many can be lost as before, or as the target could
    /// lose at its best;</item>
    /// <item>a member that is named no more ceases to learn, or goes with the next change of voters;</item>
    /// <item>a leader that goes hands over first, where somebody who stays can take over.</item>
    /// </list>
    /// Where some new voters are slow, the others take their places meanwhile, the soundest of the old voters staying on.
    /// </summary>
    /// <param name="now">The shard as its leader sees it.</param>
    /// <param name="target">Who shall be its replicas, the preferred leader first; not none, and nobody twice.</param>
    public static ShardStep Next(ShardConfiguration now, IReadOnlyList<NodeId> target)
    {
        if (target.Count == 0 || target.Distinct().Count() != target.Count)
        {
            throw new HengeException(ErrorCode.InvalidArgument, "The replicas of a shard are different nodes, and one at least.");
        }

        return Decide(now, target) with
        {
            EntriesLeft = now.Learners.Where(target.Contains).Aggregate(0UL, (sum, id) => sum + Missing(now, id)),
            BytesLeft = now.Learners.Where(target.Contains).Sum(id => now.ProgressOf(id).SnapshotBytesLeft),
            BytesSent = now.Learners.Where(target.Contains).Sum(id => now.ProgressOf(id).SnapshotBytesSent),
        };
    }

    private static ShardStep Decide(ShardConfiguration now, IReadOnlyList<NodeId> target)
    {
        if (!now.IsSettled)
        {
            return Waiting(StepWait.ChangeUnderWay, []);
        }

        NodeId[] missing = [.. target.Where(id => !now.Voters.Contains(id) && !now.Learners.Contains(id))];
        NodeId[] coming = [.. missing.Where(id => !now.Down.Contains(id))];
        NodeId[] learning = [.. now.Learners.Where(target.Contains)];
        if (coming.Length > 0)
        {
            return Change(ShardStepKind.AddLearners, now.Voters, [.. learning, .. coming]);
        }

        if (learning.Length < now.Learners.Count)
        {
            return Change(ShardStepKind.RemoveLearners, now.Voters, learning);
        }

        NodeId[] voters = NextVoters(now, target);
        if (!voters.ToHashSet().SetEquals(now.Voters))
        {
            return ChangeVoters(now, target, voters, [.. learning.Where(id => !voters.Contains(id))]);
        }

        if (learning.Length > 0)
        {
            NodeId[] down = [.. learning.Where(now.Down.Contains)];
            return down.Length == learning.Length
                ? Waiting(StepWait.TargetIsDown, down)
                : Waiting(StepWait.CatchingUp, [.. learning.Except(down)]);
        }

        if (missing.Length > 0)
        {
            return Waiting(StepWait.TargetIsDown, missing);
        }

        return now.Leader != target[0] && now.IsSound(target[0]) ? Transfer(target[0]) : new ShardStep(ShardStepKind.Done);
    }

    // Those of the target who vote already or can; as long as these are too few, old voters stay: sound ones, the leader among them.
    private static NodeId[] NextVoters(ShardConfiguration now, IReadOnlyList<NodeId> target)
    {
        List<NodeId> next = [.. target.Where(id => now.Voters.Contains(id) || (now.Learners.Contains(id) && now.IsSound(id)))];
        next.AddRange(
            now.Voters
                .Where(id => !target.Contains(id))
                .OrderByDescending(now.IsSound)
                .ThenByDescending(id => id == now.Leader)
                .ThenBy(static id => id)
                .Take(target.Count - next.Count));
        return [.. next];
    }

    private static ShardStep ChangeVoters(ShardConfiguration now, IReadOnlyList<NodeId> target, NodeId[] voters, NodeId[] learners)
    {
        int best = target.Count - ((target.Count / 2) + 1);
        if (now.SpareOf(voters) < Math.Max(0, Math.Min(now.SpareOf(now.Voters), best)))
        {
            return Waiting(StepWait.WouldWeaken, [.. voters.Where(id => !now.IsSound(id))]);
        }

        if (!voters.Contains(now.Leader))
        {
            NodeId next = target.FirstOrDefault(id => now.Voters.Contains(id) && now.IsSound(id));
            if (!next.IsNone)
            {
                return Transfer(next);
            }
        }

        return Change(ShardStepKind.ChangeVoters, voters, learners);
    }

    private static ulong Missing(ShardConfiguration now, NodeId id)
    {
        ulong match = now.ProgressOf(id).Match.Value;
        return now.Last.Value > match ? now.Last.Value - match : 0;
    }

    private static ShardStep Change(ShardStepKind kind, IReadOnlyList<NodeId> voters, IReadOnlyList<NodeId> learners) =>
        new(kind) { Voters = voters, Learners = learners };

    private static ShardStep Transfer(NodeId to) => new(ShardStepKind.TransferLeader) { To = to };

    private static ShardStep Waiting(StepWait wait, IReadOnlyList<NodeId> waitsFor) =>
        new(ShardStepKind.Wait) { Wait = wait, WaitsFor = waitsFor };
}

using Henge.Cluster.Recovery;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Catalog;
using Henge.Node.Context;
using Henge.Node.Replication;
using Henge.Node.Workers;
using MemberState = Henge.Node.Api.MemberState;

namespace Henge.Node.Recovery;

/// <summary>
/// What this node does in a recovery (docs/decisions/0200-when-a-majority-is-lost.md): says what it has, gives up those that are lost,
/// and goes on with the shards that it is to go on with. Thread-safe.
/// </summary>
internal sealed class NodeRecovery(NodeContext node, MemberCatalog catalog, Worker[] workers, string adopted) : IClusterRecovery
{
    private readonly Lock _gate = new();
    private readonly List<RecoveryRun> _runs = [];
    private string _adopted = adopted;
    private int _running;

    /// <inheritdoc/>
    public void Report(Action<string> answered)
    {
        var replicas = new List<Survivor>[workers.Length];
        var dropped = new List<ShardId>[workers.Length];
        var terms = new Dictionary<ShardId, Term>[workers.Length];
        int missing = workers.Length;
        foreach (Worker worker in workers)
        {
            worker.Post(new WorkerAction(w =>
            {
                replicas[w.Index] = [.. w.Hosted.OfType<ShardReplica>().Where(static r => !r.IsClosed).Select(static r => r.Describe())];
                dropped[w.Index] = [.. AllShards.Where(s => w.ReplicaOf(s) is LeavingShard or AbsentShard { WasDropped: true })];
                terms[w.Index] = AllShards.Select(w.ReplicaOf).OfType<AbsentShard>()
                    .ToDictionary(static a => a.Shard, static a => a.LastTerm);
                if (Interlocked.Decrement(ref missing) == 0)
                {
                    answered(RemainsText.Write(Describe(
                        replicas.SelectMany(static r => r),
                        dropped.SelectMany(static d => d),
                        terms.SelectMany(static t => t).ToDictionary())));
                }
            }));
        }
    }

    /// <inheritdoc/>
    public RecoveryOffer Offer(IReadOnlyCollection<string> reports, IReadOnlyCollection<int> startEmpty)
    {
        foreach (int shard in startEmpty)
        {
            if (shard < 0 || shard >= node.Shards.Count)
            {
                throw new HengeException(
                    ErrorCode.InvalidArgument,
                    $"There is no shard {shard} to begin empty; the cluster has {node.Shards.Count}, counted from 0.");
            }
        }

        RecoveryOutline outline = RecoveryPlanner.Make(Read(reports), startEmpty.Select(static s => new ShardId((uint)s)).ToHashSet());
        return RecoveryOffers.Of(outline);
    }

    /// <inheritdoc/>
    public RecoveryOffer? Resume(IReadOnlyCollection<string> reports, string planId)
    {
        NodeRemains[] left = Read(reports);
        RecoveryPlan? plan = left.Select(static n => RecoveryPlan.Parse(n.Adopted)).FirstOrDefault(p => p?.Id == planId);
        if (plan is null)
        {
            return null;
        }

        string[] away = [.. plan.Survivors.Where(s => left.All(n => n.Member.Id != s.Id)).Select(static s => s.Name)];
        return away.Length == 0
            ? RecoveryOffers.Of(plan)
            : throw new HengeException(
                ErrorCode.Unavailable,
                $"Plan {planId} was begun, and {string.Join(", ", away)} {(away.Length == 1 ? "has its" : "have their")} part in it and "
                    + $"{(away.Length == 1 ? "does" : "do")} not answer. Start {(away.Length == 1 ? "it" : "them")} and say the same "
                    + "again; or make a new plan, if that is lost as well.");
    }

    /// <inheritdoc/>
    public void Adopt(string plan, RecoveryPhase phase, long deadlineMs, Action<HengeException?> answered)
    {
        RecoveryRun? run = null;
        try
        {
            RecoveryPlan read = Check(plan);
            if (phase == RecoveryPhase.Fence)
            {
                Fence(read);
            }
            else
            {
                RecoveryStep[] own =
                [
                    .. read.Steps.Where(s => s.Best == node.Self && s.Shard.IsCatalog == (phase == RecoveryPhase.Catalog)),
                ];
                run = own.Length == 0 ? null : new RecoveryRun(read.Id, own, workers, deadlineMs, answered);
            }
        }
        catch (HengeException e)
        {
            answered(e);
            return;
        }

        if (run is null)
        {
            answered(null);
            return;
        }

        lock (_gate)
        {
            _runs.Add(run);
            Volatile.Write(ref _running, _runs.Count);
        }

        run.GoOn(node.MonotonicMs);
    }

    /// <inheritdoc/>
    public void MarkLost(string plan, long deadlineMs, Action<HengeException?> answered)
    {
        NodeId[] lost = [.. (RecoveryPlan.Parse(plan)?.Lost ?? []).Select(static m => m.Id)];
        MemberState[] from = [MemberState.Joining, MemberState.Up, MemberState.Draining, MemberState.Leaving];

        // By number: another member may have the name by now. A founder that was never up has no entry yet, and gets one that says so.
        catalog.Changes.Add(
            view => lost.FirstOrDefault(id => view.Of(id) is { State: not MemberState.Left }) is { IsNone: false } next
                    ? MemberChanges.SetState(view, next, from, MemberState.Left)
                : MemberChanges.Absent(view, node.Members, node.Identity.Founding).FirstOrDefault(m => lost.Contains(m.Id)) is { } absent
                    ? MemberChanges.SetState(view, absent, MemberState.Left)
                    : CatalogStep.Done,
            deadlineMs,
            answered);
    }

    /// <summary>Goes on with what is not durable yet. Called at each tick; nearly always there is nothing.</summary>
    public void Tick()
    {
        if (Volatile.Read(ref _running) == 0)
        {
            return;
        }

        RecoveryRun[] runs;
        lock (_gate)
        {
            _runs.RemoveAll(static r => r.HasEnded);
            Volatile.Write(ref _running, _runs.Count);
            runs = [.. _runs];
        }

        foreach (RecoveryRun run in runs)
        {
            run.GoOn(node.MonotonicMs);
        }
    }

    private string OwnHint => NodeRemains.HintOf(node.Sender.Cluster);

    private IEnumerable<ShardId> AllShards =>
        Enumerable.Range(0, node.Shards.Count).Select(static s => new ShardId((uint)s)).Append(ShardId.Catalog);

    private NodeRemains Describe(
        IEnumerable<Survivor> replicas,
        IEnumerable<ShardId> dropped,
        Dictionary<ShardId, Term> absent)
    {
        string plan;
        lock (_gate)
        {
            plan = _adopted;
        }

        return new NodeRemains
        {
            Member = new RecoveryMember(node.Self, node.Options.Name, node.Identity.Incarnation),
            ClusterId = node.Cluster.Id.Length > 0 ? node.Cluster.Id : OwnHint,
            Shards = node.Shards.Count,
            Members = [.. Members()],
            Replicas = [.. replicas],
            Terms = Enumerable.Range(0, node.Shards.Count).Select(s => node.Directory.PlaceOf(new ShardId((uint)s)))
                .ToDictionary(
                    static p => p.Shard,
                    p => absent.TryGetValue(p.Shard, out Term had) && had > p.Term ? had : p.Term),
            Dropped = [.. dropped],
            Adopted = plan,
        };
    }

    // Also those who have been given up by a plan that was not carried through: the catalog is still to be told of them.
    private IEnumerable<RecoveryMember> Members() =>
        node.Members.Current.Where(static m => !m.IsHearsay).Select(static m => new RecoveryMember(m.Id, m.Name))
            .Concat((catalog.View?.Members ?? []).Where(static m => m.State != MemberState.Left)
                .Select(static m => new RecoveryMember(m.Id, m.Name)))
            .DistinctBy(static m => m.Id);

    private static NodeRemains[] Read(IReadOnlyCollection<string> reports) =>
    [
        .. reports.Select(static text => RemainsText.Parse(text) ?? throw new HengeException(
            ErrorCode.InvalidArgument,
            "What a node says of its replicas cannot be read. Run the same release on all nodes.")),
    ];

    private RecoveryPlan Check(string text)
    {
        static HengeException Refused(string why) => new(ErrorCode.InvalidArgument, why);
        RecoveryPlan plan = RecoveryPlan.Parse(text)
            ?? throw Refused("The plan of the recovery cannot be read. Run the same release on all nodes.");
        string own = NodeRemains.IsHint(plan.ClusterId) ? OwnHint : node.Cluster.Id;
        if (own.Length > 0 && plan.ClusterId != own)
        {
            throw Refused($"The plan is for the cluster {plan.ClusterId}, and this node belongs to {own}.");
        }

        if (plan.Survivors.All(s => s.Id != node.Self || s.Incarnation != node.Identity.Incarnation))
        {
            throw Refused($"{node.Options.Name} has no part in plan {plan.Id}: it did not answer, or ran with another directory, when the "
                + "plan was made. Make a new plan.");
        }

        return plan;
    }

    // Nobody else does anything before all who are left have done this.
    private void Fence(RecoveryPlan plan)
    {
        lock (_gate)
        {
            if (_adopted != plan.Text)
            {
                node.Events?.RecoveryBegun(plan.Id, [.. plan.Lost.Select(static m => m.Name)]);
                RecoveryFile.Write(node, plan);
                _adopted = plan.Text;
            }
        }

        if (!node.Options.Bugs.HearsTheLost)
        {
            foreach (RecoveryMember member in plan.Lost)
            {
                RecoveryFile.Fence(node, member);
            }
        }
    }
}

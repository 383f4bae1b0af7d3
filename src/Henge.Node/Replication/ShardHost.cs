using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Log;
using Henge.Node.StateMachine;
using Henge.Node.Workers;
using Henge.Raft;
using Henge.Storage;
using Henge.Storage.Files;

namespace Henge.Node.Replication;

/// <summary>
/// Replicas that come and go (docs/decisions/0192-replicas-that-come-and-go.md): opens those that the node log knows of or the founding
/// placement names, begins one when a leader speaks to a shard that is absent, and drops one that nobody counts on. All but
/// <see cref="Open"/> runs on the shard's worker.
/// </summary>
internal sealed class ShardHost(
    NodeContext node,
    HostedShards hosted,
    Func<ShardId, FoundingReplicas> foundersOf,
    Func<ShardId, IWatchFeed> newFeed)
{
    private readonly string _snapshots = Path.Combine(node.Options.DataDirectory, "snapshots");

    /// <summary>A replica begins to serve operations, or ceases to.</summary>
    public void OnServing(ShardReplica replica) => hosted.OnServing(replica);

    /// <summary>Puts a shard into its worker's table when the node opens: hosted, absent, or with a drop to be finished.</summary>
    public void Open(Worker worker, ShardId shard, ShardLogReplay replay)
    {
        // The catalog is on every node, whoever founded the cluster.
        bool isOwn = shard.IsCatalog || (foundersOf(shard).Membership.IsMember(node.Self) && !replay.IsTombstone);
        if (!replay.HasLog && !isOwn)
        {
            OpenAbsent(worker, RemainsOf(worker, shard, replay));
            return;
        }

        ShardStateMachine machine = OpenMachine(shard);
        ReplicaRestore.Reconcile(node, worker, replay, machine, shard, out LogIndex snapshotOnDisk);
        ShardReplica replica = Make(worker, RemainsOf(worker, shard, replay), machine);
        replica.OnSnapshotFound(snapshotOnDisk);
    }

    /// <summary>Whether a message to a shard that is absent has a replica begin: only what a leader says.</summary>
    public bool MayBegin(RaftMessage message) =>
        message is AppendEntries or Heartbeat || (node.Options.Bugs.BeginsForVotes && message is RequestVote);

    /// <summary>
    /// A leader speaks to a shard that is absent: a replica begins, without anything. It gets what it needs from the leader, and finds out
    /// when it was an old message that brought it about.
    /// </summary>
    public ShardReplica Begin(Worker worker, ShardRemains remains)
    {
        ShardReplica replica = Make(worker, remains, OpenMachine(remains.Shard));
        node.Events?.ReplicaBegun(remains.Shard);
        return replica;
    }

    /// <summary>
    /// Nobody counts on a replica any more, as the leader of a term has said by a membership: it goes. Term and vote stay, and how far the
    /// log reached at most.
    /// </summary>
    public void Drop(ShardReplica replica, NodeId leader, Term term, LogIndex index, Membership membership)
    {
        RaftGroup group = replica.Group;
        HardState state = term > group.Term
            ? new HardState(term, NodeId.None, default)
            : new HardState(group.Term, group.VotedFor, default);
        var forgotten = new ForgottenLog(index, term);
        if (node.Options.Bugs.ForgetsVotesOfDropped)
        {
            (state, forgotten) = (default, new ForgottenLog(index, Term.Zero));
        }

        hosted.Remove(replica);
        ShardRemains remains = replica.Close(state, forgotten);
        var leaving = new LeavingShard(this, replica.Worker, remains);
        replica.Worker.Put(leaving);
        NodeLogBatch batch = replica.Worker.Batch;
        batch.Records.Add(new NodeLogRecord
        {
            Kind = NodeLogRecordKind.LateBase,
            Shard = replica.Shard,
            Reset = true,
            HardState = state,
            Membership = membership,
            Forgotten = forgotten,
        });
        batch.Tickets.Add((leaving, 1));
        node.Events?.ReplicaDropped(replica.Shard, index);
        node.Directory.Learn(new ShardPlace
        {
            Shard = replica.Shard,
            Term = term,
            Leader = leader,
            MembershipTerm = term,
            MembershipIndex = index,
            Voters = membership.Voters,
            Learners = membership.Learners,
        });
    }

    /// <summary>
    /// Has everything go that engine and disk have of a shard, durably; false when there is no room for that, or the engine is too far
    /// behind. To be called again then, and after a crash.
    /// </summary>
    public bool TryDropState(ShardId shard)
    {
        IStorageEngine engine = node.Engine;
        if (engine.Pressure == WritePressure.Stop)
        {
            return false;
        }

        try
        {
            SnapshotFile.DeleteAll(node.Environment.FileSystem, _snapshots, shard);
            engine.DropRange(SystemKeys.UserKeyspace(shard), default, default);
            engine.DropRange(SystemKeys.SystemKeyspace(shard), default, default);

            // Durable, with all that was applied before it, when this returns: a replica that begins anew counts from nothing, and must not
            // find after a crash that the engine has more.
            var position = new WriteBatch();
            position.SetPosition(SystemKeys.Stream(shard), 0);
            engine.Apply(position, sync: false);
            engine.Flush();
            return true;
        }
        catch (Exception e) when (e is DiskFullException or HengeException { Code: ErrorCode.DiskFull })
        {
            return false;
        }
    }

    /// <summary>Nothing is left of a replica: the shard is absent.</summary>
    public void OnDropped(Worker worker, ShardRemains remains) => worker.Put(new AbsentShard(this, worker, remains));

    private void OpenAbsent(Worker worker, ShardRemains remains)
    {
        if (!HasState(remains.Shard) || TryDropState(remains.Shard))
        {
            OnDropped(worker, remains);
            return;
        }

        var leaving = new LeavingShard(this, worker, remains);
        leaving.OnFound();
        worker.Put(leaving);
    }

    // What a drop left that a crash broke off; or a snapshot that was being taken in by a replica of which the log knew nothing yet.
    private bool HasState(ShardId shard)
    {
        string name = SnapshotFile.NameOf(_snapshots, shard);
        return node.Engine.GetPosition(SystemKeys.Stream(shard)) != 0
            || HasEntries(SystemKeys.UserKeyspace(shard))
            || HasEntries(SystemKeys.SystemKeyspace(shard))
            || node.Environment.FileSystem.FileExists(name)
            || node.Environment.FileSystem.FileExists(name + ".part");
    }

    private bool HasEntries(uint keyspace)
    {
        try
        {
            using EngineIterator entries = node.Engine.CreateIterator(new IteratorOptions
            {
                Keyspace = keyspace,
                Point = new ReadPoint(Core.Version.Max, 0),
                AllVersions = true,
            });
            entries.SeekToFirst();
            return entries.Valid;
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            return true;
        }
    }

    private ShardRemains RemainsOf(Worker worker, ShardId shard, ShardLogReplay replay) =>
        new(
            shard,
            replay.Log,
            replay.HardState,
            replay.Forgotten,
            replay.HardState.Term,
            new RemoteShard(worker, node, shard));

    private ShardStateMachine OpenMachine(ShardId shard) =>
        ShardStateMachine.Open(
            shard,
            node.Engine,
            node.History,
            newFeed(shard),
            StateMachineOptions.Default with
            {
                Bugs = node.Options.Bugs,
                Sessions = node.Options.Sessions,
            });

    private ShardReplica Make(Worker worker, ShardRemains remains, ShardStateMachine machine)
    {
        var replica = new ShardReplica(worker, node, this, remains, machine, foundersOf(remains.Shard));
        worker.Put(replica);
        hosted.Add(replica);
        replica.UpdateServing();
        return replica;
    }
}

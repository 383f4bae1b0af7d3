using Henge.Cluster.Recovery;
using Henge.Core;
using Henge.Node.Context;
using Henge.Raft;

namespace Henge.Node.Replication;

// A shard whose majority is lost for ever (docs/decisions/0200-when-a-majority-is-lost.md).
internal sealed partial class ShardReplica
{
    // So many changes of the term are told apart; what lies before them counts as known only where it is committed.
    private const int MostTerms = 256;

    /// <summary>What it has, for whoever decides from which replica the shard goes on.</summary>
    public Survivor Describe() => new()
    {
        Node = Node.Self,
        Shard = Shard,
        Term = _group.Term,
        LastTerm = _group.LastTerm,
        Last = _group.LastIndex,
        Commit = _group.CommitIndex,
        CommitTerm = _group.TermAt(_group.CommitIndex) ?? Term.Zero,
        Terms = _group.TermsOfLog(MostTerms),
        LastVersion = _writes.LastLoggedVersion,
        AppliedVersion = _machine.LastVersion,
        ConfigurationIndex = _group.MembershipIndex,
        Voters = _group.Membership.Voters,
        OutgoingVoters = _group.Membership.OutgoingVoters,

        // One that has dropped what it had, and has not got as far again, has nothing that anybody could go on from.
        IsDamaged = Problem is not null || _group.Forgotten.IsAheadOf(_group.LastIndex, _group.LastTerm),
    };

    /// <summary>The shard goes on alone from what is here.</summary>
    public RecoveryStatus Recover(RecoveryStep step, string plan)
    {
        if (_group.Term >= step.Term && (IsClosed || _group.LastTerm < step.Term))
        {
            // Done before: it has gone elsewhere since, and may have come back with nothing yet.
            return RecoveryStatus.Durable;
        }

        if (IsClosed || (_group.LastTerm < step.Term && Problem is not null))
        {
            return RecoveryStatus.Differs;
        }

        bool isNew = _group.LastTerm < step.Term;
        RecoveryStatus status = _group.Recover(step.Term, step.Last, step.LastTerm, step.Learners);
        if (isNew && status != RecoveryStatus.Differs)
        {
            Node.Events?.ShardRecovered(Shard, plan, step.KeptVersion, step.Last);
            _status.MarkChanged();
        }

        Worker.MarkDirty(this);
        return status == RecoveryStatus.Written && Node.Options.Bugs.RecoversBeforeSync ? RecoveryStatus.Durable : status;
    }
}

using Henge.Core;

namespace Henge.Raft;

// Groups at rest: a node that has many of them ticks each but once for several ticks of its clock.
public sealed partial class RaftGroup
{
    /// <summary>
    /// Whether nothing is under way that hangs on single ticks: everything in the log is committed and applied, membership is settled, and
    /// there is a leader that was heard lately. Ticks may then be given several at a time, but never so many that a heartbeat is left out
    /// or an election begins late: up to <see cref="RaftOptions.HeartbeatTicks"/>.
    /// </summary>
    public bool Rests => !HasReady
        && _log.LastIndex == _commit
        && AppliedIndex == _commit
        && !Membership.IsJoint
        && TransferTarget.IsNone
        && !_reads.IsWaiting
        && (Role == RaftRole.Leader
            || (Role == RaftRole.Follower && !Leader.IsNone
                && _electionElapsed + _options.HeartbeatTicks < _options.ElectionTimeoutMinTicks));

    /// <summary>
    /// How many ticks are left until the group's next heartbeat, or until those of groups that were made with it; 1 to
    /// <see cref="RaftOptions.HeartbeatTicks"/>.
    /// </summary>
    public int TicksToHeartbeat => _options.HeartbeatTicks
        - (Role == RaftRole.Leader ? _heartbeatElapsed : (int)(_ticks % (ulong)_options.HeartbeatTicks));
}

using Henge.Raft;

namespace Henge.Node.Replication;

// What time does to a replica. One that rests takes the ticks from one heartbeat to the next at once: a node has many shards, and most of
// them rest.
internal sealed partial class ShardReplica
{
    private bool _rests;
    private int _restLeft;
    private int _restTicks;
    private long _tickedAt = -1;

    /// <inheritdoc/>
    public bool Rests => _rests;

    /// <summary>A tick of time has passed.</summary>
    public void Tick(long tick)
    {
        if (_rests && --_restLeft > 0)
        {
            _restTicks++;
            return;
        }

        int ticks = _restTicks + 1;
        TickSpan span = new(_tickedAt < 0 ? tick - 1 : _tickedAt, tick);
        (_restTicks, _tickedAt) = (0, tick);
        if (!IsHeld)
        {
            _group.SetClock(Worker.ClockTicks);
            TickGroup(ticks);
        }

        _writes.Release();
        _reads.Release();
        if (!_writes.IsEmpty)
        {
            _writes.Expire(Worker.NowMs);
        }

        if (!_reads.IsEmpty)
        {
            _reads.Expire(Worker.NowMs);
        }

        if (!_pipelined.IsEmpty)
        {
            _pipelined.Expire(Worker.NowMs, LeaderAddress);
        }

        _versions.Tick(Worker.NowMs);
        if (IsHeld)
        {
            _status.Tick(span);
            if (span.Reaches(HeldTicks))
            {
                _mayRetryHeld = true;
                Worker.MarkDirty(this);
            }

            return;
        }

        _sender.Tick();
        _receiver.Tick();
        _inquiry.Tick();
        NoticeDamage();
        AskForState(span);
        if (_group.Role == RaftRole.Leader)
        {
            // The index by expiry may be what is damaged. What has expired stays invisible; the next leader deletes it.
            if (_machine.Damage is null)
            {
                _expiry.Tick(span);
            }

            _leadership.Tick(span);
            BeginHistory();
            FollowPlacement();
        }
        else
        {
            _mover.OnLedElsewhere();
        }

        TellOfShard();

        _compactor.Tick(span);
        _status.Tick(span);
        if (_group.HasReady || !_writes.IsEmpty || _reads.CanStart || _toApply.Count > 0)
        {
            Worker.MarkDirty(this);
        }

        Rest();
    }

    private bool MayLead => Shard.IsCatalog || Node.MayLeadShards;

    // Without ticks it stands for no election; what others send it takes in.
    private void TickGroup(int ticks)
    {
        if (!_mayLead)
        {
            if (!MayLead)
            {
                return;
            }

            _mayLead = true;
            if (Preferred == Node.Self)
            {
                StandForElection();
            }
        }

        _election.Tick((long)Worker.ClockTicks, ticks);
        if (ticks > 1)
        {
            // While it rested nobody told it.
            Worker.Heartbeats.Tell(this);
        }
    }

    // Whatever could need a tick soon comes by a message or an operation, after which this is called again.
    private void Rest()
    {
        _rests = _mayLead
            && !IsHeld
            && !IsClosed
            && _machine.Damage is null
            && _writes.IsEmpty
            && _reads.IsEmpty
            && _pipelined.IsEmpty
            && _versions.IsEmpty
            && _remains.Remote.IsEmpty
            && _toApply.Count == 0
            && _sender.IsIdle
            && _receiver.IsIdle
            && _group.Rests;
        if (_rests)
        {
            _restLeft = _group.TicksToHeartbeat - _restTicks;
            _rests = _restLeft > 0;
        }
    }

    // The ticks that it owes, before something comes that begins to count anew.
    private void CatchUp()
    {
        if (_restTicks > 0)
        {
            _group.SetClock(Worker.ClockTicks);
            _group.Tick(_restTicks);
            _restTicks = 0;
            _rests = false;
        }
    }
}

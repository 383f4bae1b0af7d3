using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Workers;

namespace Henge.Node.Replication;

/// <summary>
/// To whom the writes of one shard go out, and when they may go to another leader or in another term: not before what went out earlier has
/// ended or come back, or some time has passed (docs/decisions/0141). One for each shard, whether this node has a replica of it or not:
/// what was sent before a replica came or went is under way still. Belongs to the shard's worker.
/// </summary>
internal sealed class WriteSends
{
    /// <summary>What the caller is told of a write that has come back too late to be sent again.</summary>
    public const string Overtaken =
        "The shard's leader changed while the write was on its way to it, and later writes have gone ahead. Nothing was done; try again.";

    // How long a former leader may take to hand back what was sent to it, before later writes go to the new one.
    private const long HandBackMs = 100;
    private (NodeId Leader, Term Term) _target;
    private ulong _number;
    private int _underWay;
    private long _handBackUntilMs;

    /// <summary>True when writes go to this leader, in this term.</summary>
    public bool GoTo(NodeId leader, Term term) => _target == (leader, term);

    /// <summary>
    /// A write has ended or come back. True when nothing has gone to another leader, or in another term, since it was sent.
    /// </summary>
    public bool End(ulong sending)
    {
        if (sending != _number)
        {
            return false;
        }

        _underWay--;
        return true;
    }

    /// <summary>
    /// True when writes may go out to a leader: nothing can come back any more that went out to another one, or in another term, before.
    /// </summary>
    public bool MayGo(NodeId leader, Term term, long nowMs)
    {
        if (_target == (leader, term))
        {
            return true;
        }

        if (_underWay > 0)
        {
            _handBackUntilMs = _handBackUntilMs == 0 ? nowMs + HandBackMs : _handBackUntilMs;
            if (nowMs < _handBackUntilMs)
            {
                return false;
            }
        }

        _target = (leader, term);
        _handBackUntilMs = 0;
        _number++;
        _underWay = 0;
        return true;
    }

    /// <summary>Sends all that waits to a leader on another node; <see cref="MayGo"/> has allowed it.</summary>
    public void Forward(ref OperationList waiting, Worker worker, NodeId leader, Term term, IForwardOwner owner)
    {
        while (waiting.First is { } operation)
        {
            if (operation.LeaderOnly)
            {
                owner.Refuse(waiting.TakeFirst()!);
                continue;
            }

            // A full frame leaves first. If the transport does not take it, what is in it comes back, and nothing may go before that.
            worker.Links.MakeRoom(leader);
            if (owner.IsHeld)
            {
                return;
            }

            waiting.TakeFirst();
            if (worker.Forwards.TryForward(operation, leader, term, _number, owner))
            {
                _underWay++;
            }
            else
            {
                owner.Fail(
                    operation,
                    ErrorCode.Unavailable,
                    $"The leader of {operation.Shard} cannot be reached. Nothing was done; try again.");
            }
        }
    }
}

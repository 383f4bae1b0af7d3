using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Raft;

namespace Henge.Node.Workers;

/// <summary>
/// Reads that a worker has sent to other nodes and waits for, and reads that other nodes have sent to it. One hop: who is asked never asks
/// on. A read that is not answered in time, or by a node that cannot, comes back to its owner, since it can be repeated. Belongs to the
/// worker.
/// </summary>
internal sealed class RemoteReads(Worker worker, NodeContext node)
{
    /// <summary>How long a node may take to answer before another one is asked.</summary>
    public const long AttemptMs = 600;

    private const int SweepTicks = 5;
    private readonly Dictionary<ulong, Sent> _waiting = [];
    private readonly Dictionary<NodeId, List<ulong>> _idsInFrame = [];
    private readonly List<Sent> _returned = [];
    private readonly List<ulong> _ended = [];
    private readonly List<IAttentive> _attentive = [];
    private readonly RemoteReadPool _pool = new();

    // Begins anywhere, anew at each start: an answer to a request of before a restart must not pass for that to a request of after it.
    private ulong _lastId = new SplitMix64Random(node.Environment.Seed ^ ((ulong)worker.Index + 0xF0A4_D100)).NextUInt64();
    private int _ticks;

    /// <summary>Who reads the values; set when the node is put together.</summary>
    public IValueAnswers? Values { get; set; }

    /// <summary>Sends a read to a node; false when there is no way to it. Its owner is told when it comes back.</summary>
    public bool TrySend(Operation read, NodeId to, IReadOwner owner)
    {
        PeerFrameBuilder? frame = worker.Links.Begin(to, PeerRecordKind.ReadForward, read.Shard);
        if (frame is null)
        {
            return false;
        }

        long dueMs = Math.Min(read.DeadlineMs, worker.NowMs + AttemptMs);
        ulong id = ++_lastId;
        ReadRequest.Write(frame, id, (uint)Math.Clamp(dueMs - worker.NowMs, 1, AttemptMs), read);
        frame.EndRecord();
        _waiting.Add(id, new Sent(read, to, dueMs, owner));
        if (!_idsInFrame.TryGetValue(to, out List<ulong>? ids))
        {
            _idsInFrame.Add(to, ids = []);
        }

        ids.Add(id);
        return true;
    }

    /// <summary>A frame was handed to the transport. When it was not taken, the reads in it come back.</summary>
    public void OnFlushed(NodeId to, bool sent)
    {
        if (!_idsInFrame.TryGetValue(to, out List<ulong>? ids) || ids.Count == 0)
        {
            return;
        }

        if (!sent)
        {
            _ended.AddRange(ids);
        }

        ids.Clear();
        Return("The node that was asked could not be reached.");
    }

    /// <summary>The stream to a node broke: what was asked there may never be answered.</summary>
    public void OnDisconnected(NodeId peer)
    {
        foreach ((ulong id, Sent sent) in _waiting)
        {
            if (sent.To == peer)
            {
                _ended.Add(id);
            }
        }

        Return("The connection to the node that was asked broke before it answered.");
    }

    /// <summary>Has somebody ticked until nothing waits there any more. Not while it is.</summary>
    public void Attend(IAttentive shard) => _attentive.Add(shard);

    /// <summary>Gives back what has not been answered in time.</summary>
    public void Tick()
    {
        for (int i = 0; i < _attentive.Count;)
        {
            if (_attentive[i].Tick())
            {
                i++;
            }
            else
            {
                _attentive.RemoveAt(i);
            }
        }

        if (_waiting.Count == 0 || ++_ticks < SweepTicks)
        {
            return;
        }

        _ticks = 0;
        foreach ((ulong id, Sent sent) in _waiting)
        {
            if (sent.DueMs <= worker.NowMs)
            {
                _ended.Add(id);
            }
        }

        Return("The node that was asked did not answer in time.");
    }

    /// <summary>Fails everything.</summary>
    public void Stop()
    {
        foreach (Sent sent in _waiting.Values)
        {
            worker.Fail(sent.Read, ErrorCode.Stopping, "The node is stopping.");
        }

        _waiting.Clear();
    }

    /// <summary>Takes the outcome of a read in, from the node that it was sent to; anybody else's is dropped.</summary>
    public void OnReply(NodeId from, ReadOnlySpan<byte> body)
    {
        if (!ReadReply.TryRead(body, out ReadReply reply) || !_waiting.TryGetValue(reply.Id, out Sent sent) || sent.To != from)
        {
            return;
        }

        _waiting.Remove(reply.Id);
        Operation read = sent.Read;
        switch (reply.Error)
        {
            case ErrorCode.None:
                read.Version = reply.Version;
                if (read.Kind == OperationKind.Get)
                {
                    read.Remote = reply.IsFound
                        ? new RemoteValue(reply.Body.ToArray(), reply.ValueVersion, reply.ExpiresAtMs, reply.Type)
                        : RemoteValue.None;
                }

                if (!read.Shard.IsCatalog)
                {
                    NodeId leader = node.Directory.PlaceOf(read.Shard).Leader;
                    worker.NameLeader(read, leader == node.Self ? null : node.AddressOf(leader));
                }

                worker.Complete(read);
                break;
            case ErrorCode.NotLeader or ErrorCode.Unavailable or ErrorCode.Stopping:
                sent.Owner.OnReadReturned(read, from, reply.Error, Encoding.UTF8.GetString(reply.Body));
                break;
            default:
                worker.Fail(read, reply.Error, Encoding.UTF8.GetString(reply.Body));
                break;
        }
    }

    /// <summary>Takes in a read that another node has sent.</summary>
    public void OnForward(IReplica replica, NodeId from, ReadOnlySpan<byte> body)
    {
        if (
            !ReadRequest.TryRead(body, out ReadRequest request)
            || replica.Shard.IsCatalog
            || (request.Kind == OperationKind.Get && node.Shards.ShardOf(request.Key) != replica.Shard))
        {
            return;
        }

        RemoteRead read = _pool.Rent(this);
        read.From = from;
        read.RequestId = request.Id;
        read.Kind = request.Kind;
        read.Phase = request.Phase;
        read.Shard = replica.Shard;
        read.Consistency = node.Options.Bugs.AnswersForwardsUnproven ? ReadConsistency.Stale : request.Consistency;
        read.ReadVersion = request.Version;
        read.DeadlineMs = worker.NowMs + Math.Min(request.RemainingMs, AttemptMs);

        // Anybody with a replica can close history, or say what is stale. For all else who leads is asked, who needs nobody else.
        read.LeaderOnly = read.Consistency != ReadConsistency.Stale && read.Phase != BarrierPhase.Close;
        read.CopyKey(request.Key);
        if (read.Phase == BarrierPhase.Close && node.Options.Bugs.PagesBeforeClosed)
        {
            read.Version = read.ReadVersion;
            read.Complete();
        }
        else if (!node.Options.Bugs.TrustsOldChecks && request.Asker.Check(worker.Access(), read) is { } problem)
        {
            read.Fail(problem.Code, problem.Message);
        }
        else if (node.TryAdmit(1, 0))
        {
            replica.Add(read);
        }
        else
        {
            read.Fail(ErrorCode.ResourceExhausted, "The shard's leader has too many operations under way. Try again later.");
        }
    }

    /// <summary>Answers a read of another node. The value of a key is read elsewhere.</summary>
    public void Answer(RemoteRead read)
    {
        if (read is { Kind: OperationKind.Get, Error: ErrorCode.None } && Values is not null)
        {
            Values.Answer(read);
            return;
        }

        if (read.Error == ErrorCode.NotLeader)
        {
            worker.TellPlace(read.From, read.Shard);
        }

        if (worker.Links.Begin(read.From, PeerRecordKind.ReadReply, read.Shard) is { } frame)
        {
            ReadReply.Write(frame, read.RequestId, read.Error, read.ErrorMessage, read.Version);
            frame.EndRecord();
        }

        Recycle(read);
    }

    /// <summary>Takes back a read that was answered. Thread-safe.</summary>
    public void Recycle(RemoteRead read) => _pool.Return(read);

    private void Return(string message)
    {
        if (_ended.Count == 0)
        {
            return;
        }

        // All are out of the table before any owner is told: it may send again at once.
        foreach (ulong id in _ended)
        {
            if (_waiting.Remove(id, out Sent sent))
            {
                _returned.Add(sent);
            }
        }

        _ended.Clear();
        foreach (Sent sent in _returned)
        {
            sent.Owner.OnReadReturned(sent.Read, sent.To, ErrorCode.Unavailable, message);
        }

        _returned.Clear();
    }

    private readonly record struct Sent(Operation Read, NodeId To, long DueMs, IReadOwner Owner);
}

using System.Buffers.Binary;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;

namespace Henge.Node.Workers;

/// <summary>
/// Writes that a worker has sent to leaders on other nodes, and waits for. One hop: the leader never sends them on. A write that was sent
/// is never sent again, unless the receiver said that it did nothing: it may have taken effect. Writes of one shard are taken in the order
/// in which they were sent, and only in the term that they were sent in (docs/decisions/0141). Belongs to the worker.
/// </summary>
/// <remarks>
/// The bodies (docs/formats.md, "Peer frames"), little-endian: forward <c>id u64 | remaining ms u32 | term u64 | who asks (see
/// <see cref="AskerRecord"/>) | command</c>; reply <c>id u64 | error u8 | version u64 | result length u32 | result | hint length u16 |
/// hint | message</c>; advance <c>version u64</c>.
/// </remarks>
internal sealed class ForwardTable(Worker worker, NodeContext node)
{
    private const int SweepTicks = 5;
    private const int ForwardHeaderBytes = 20;
    private const int ReplyHeaderBytes = 23;
    private const int MaxPooledWrites = 4096;
    private const long AnswerMarginMs = 50;
    private static readonly ReadOnlyMemory<byte>[] OneByte =
    [
        .. Enumerable.Range(0, 256).Select(static i => (ReadOnlyMemory<byte>)new[] { (byte)i }),
    ];
    private readonly Dictionary<ulong, Forwarded> _waiting = [];
    private readonly MemberMap<List<ulong>?> _idsInFrame = new();
    private readonly List<ulong> _ended = [];
    // Begins anywhere, anew at each start: an answer to a request of before a restart must not pass for that to a request of after it.
    private ulong _lastId =
        new Henge.Raft.SplitMix64Random(node.Environment.Seed ^ ((ulong)worker.Index + 0xF0A4_D000)).NextUInt64()
        << ForwardWindow.CounterBits;
    private readonly ForwardWindow _received = new();
    private readonly Stack<RemoteWrite> _free = new();
    private int _ticks;

    /// <summary>
    /// Sends a write to the leader of a term; false when there is no way to that node. Its owner is told what becomes of it.
    /// </summary>
    public bool TryForward(Operation operation, NodeId leader, Term term, ulong sending, IForwardOwner owner)
    {
        PeerFrameBuilder? frame = worker.Links.Begin(leader, PeerRecordKind.Forward, operation.Shard);
        if (frame is null)
        {
            return false;
        }

        // The leader gets a little less, so that its own verdict ("nothing was done") still comes before this node has to call the outcome
        // unknown.
        long remaining = operation.DeadlineMs - worker.NowMs;
        remaining -= Math.Min(remaining / 2, AnswerMarginMs);
        ulong id = ++_lastId;
        int size = ForwardHeaderBytes + AskerRecord.SizeOf(operation.Asker) + operation.Command.Length;
        Span<byte> span = frame.GetSpan(size);
        BinaryPrimitives.WriteUInt64LittleEndian(span, id);
        BinaryPrimitives.WriteUInt32LittleEndian(span[8..], (uint)Math.Clamp(remaining, 1, int.MaxValue));
        BinaryPrimitives.WriteUInt64LittleEndian(span[12..], term.Value);
        operation.Command.Span.CopyTo(AskerRecord.Write(span[ForwardHeaderBytes..], operation.Asker));
        frame.Advance(size);
        frame.EndRecord();
        operation.Tag = sending;
        _waiting.Add(id, new Forwarded(operation, leader, owner));
        (_idsInFrame[leader] ??= []).Add(id);
        return true;
    }

    /// <summary>
    /// A frame was handed to the transport. When it was not taken, the writes in it certainly did not leave, and wait for a leader again.
    /// </summary>
    public void OnFlushed(NodeId to, bool sent)
    {
        if (_idsInFrame[to] is not { } ids)
        {
            return;
        }

        if (!sent)
        {
            foreach (ulong id in ids)
            {
                if (_waiting.Remove(id, out Forwarded write))
                {
                    write.HandBack();
                }
            }
        }

        ids.Clear();
    }

    /// <summary>Takes a forwarded write in, on the leader's side.</summary>
    public void OnForward(IReplica replica, NodeId from, ReadOnlySpan<byte> body)
    {
        if (body.Length < ForwardHeaderBytes)
        {
            return;
        }

        if (!AskerRecord.TryRead(body[ForwardHeaderBytes..], out AskerRecord asker, out ReadOnlySpan<byte> command))
        {
            return;
        }

        ForwardOrder order = _received.Take(from, BinaryPrimitives.ReadUInt64LittleEndian(body), replica.Shard);
        if (order == ForwardOrder.Repeated)
        {
            return;
        }

        RemoteWrite write = _free.Count > 0 ? _free.Pop() : new RemoteWrite(worker);
        write.From = from;
        write.RequestId = BinaryPrimitives.ReadUInt64LittleEndian(body);
        write.Kind = OperationKind.Write;
        write.LeaderOnly = true;
        write.Shard = replica.Shard;
        write.Term = new Term(BinaryPrimitives.ReadUInt64LittleEndian(body[12..]));
        write.DeadlineMs = worker.NowMs + BinaryPrimitives.ReadUInt32LittleEndian(body[8..]);
        write.CopyCommand(command);
        if (write.Term <= replica.TermAtStart)
        {
            // Sent to what this node was before it started: it may have done it then, and this be a copy that was long on its way.
            write.Fail(
                ErrorCode.UnknownOutcome,
                "The shard's leader was started anew while the write was on its way; it may or may not have been done.");
        }
        else if (order == ForwardOrder.Overtaken && !node.Options.Bugs.TakesForwardsInAnyOrder)
        {
            // Not "does not lead", which would have it sent again, behind what has overtaken it.
            write.Fail(
                ErrorCode.Unavailable,
                "A later write of the same shard came to the leader before this one. Nothing was done; try again.");
        }
        else if (!replica.LeadsIn(write.Term) && (replica is not IHostedReplica || !node.Options.Bugs.TakesForwardsOfAnyTerm))
        {
            write.Fail(
                ErrorCode.NotLeader,
                $"This node does not lead {replica.Shard} in the term in which the write was sent to it.",
                replica.LeaderAddress);
        }
        else if (!node.Options.Bugs.TrustsOldChecks && asker.Check(worker.Access(), write) is { } problem)
        {
            write.Fail(problem.Code, problem.Message);
        }
        else if (node.TryAdmit(1, write.Command.Length))
        {
            replica.Add(write);
        }
        else
        {
            write.Fail(ErrorCode.ResourceExhausted, "The shard's leader has too many operations under way. Try again later.");
        }
    }

    /// <summary>Sends the outcome of a forwarded write back. The write is done with: it is used again for the next one.</summary>
    public void Reply(RemoteWrite write)
    {
        Send(write);
        write.Reset();
        if (_free.Count < MaxPooledWrites)
        {
            _free.Push(write);
        }
    }

    private void Send(RemoteWrite write)
    {
        if (write.Error == ErrorCode.NotLeader)
        {
            worker.TellPlace(write.From, write.Shard);
        }

        PeerFrameBuilder? frame = worker.Links.Begin(write.From, PeerRecordKind.ForwardReply, write.Shard);
        if (frame is null)
        {
            return;
        }

        byte[] hint = write.LeaderHint is null ? [] : Encoding.UTF8.GetBytes(write.LeaderHint);
        byte[] message = write.ErrorMessage is null ? [] : Encoding.UTF8.GetBytes(write.ErrorMessage);
        int size = ReplyHeaderBytes + write.Result.Length + hint.Length + message.Length;
        Span<byte> span = frame.GetSpan(size);
        BinaryPrimitives.WriteUInt64LittleEndian(span, write.RequestId);
        span[8] = (byte)write.Error;
        BinaryPrimitives.WriteUInt64LittleEndian(span[9..], write.Version.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(span[17..], (uint)write.Result.Length);
        write.Result.Span.CopyTo(span[21..]);
        BinaryPrimitives.WriteUInt16LittleEndian(span[(21 + write.Result.Length)..], (ushort)hint.Length);
        hint.CopyTo(span[(ReplyHeaderBytes + write.Result.Length)..]);
        message.CopyTo(span[(ReplyHeaderBytes + write.Result.Length + hint.Length)..]);
        frame.Advance(size);
        frame.EndRecord();
    }

    /// <summary>
    /// Takes the outcome of a write that was forwarded, from the node that it was forwarded to; anybody else's is dropped.
    /// </summary>
    public void OnReply(NodeId from, ReadOnlySpan<byte> body)
    {
        if (body.Length < ReplyHeaderBytes)
        {
            return;
        }

        uint result = BinaryPrimitives.ReadUInt32LittleEndian(body[17..]);
        if (result > (uint)(body.Length - ReplyHeaderBytes))
        {
            return;
        }

        int hint = BinaryPrimitives.ReadUInt16LittleEndian(body[(21 + (int)result)..]);
        ReadOnlySpan<byte> rest = body[(ReplyHeaderBytes + (int)result)..];
        ulong id = BinaryPrimitives.ReadUInt64LittleEndian(body);
        if (hint > rest.Length || !_waiting.TryGetValue(id, out Forwarded forwarded) || forwarded.Leader != from)
        {
            return;
        }

        _waiting.Remove(id);
        var error = (ErrorCode)body[8];
        if (error is ErrorCode.NotLeader)
        {
            // It says for sure that nothing was done, so it may be tried again, with the leader of then.
            forwarded.HandBack();
            return;
        }

        Operation operation = forwarded.Operation;
        forwarded.End();
        operation.Version = new Core.Version(BinaryPrimitives.ReadUInt64LittleEndian(body[9..]));
        operation.Result = result switch
        {
            0 => default,
            1 => OneByte[body[21]],
            _ => body.Slice(21, (int)result).ToArray(),
        };
        if (error != ErrorCode.None)
        {
            worker.Fail(operation, error, Encoding.UTF8.GetString(rest[hint..]), hint == 0 ? null : Encoding.UTF8.GetString(rest[..hint]));
            return;
        }

        worker.NameLeader(operation, node.AddressOf(from));
        worker.Complete(operation);
    }

    /// <summary>The stream to a node broke: what was sent there may or may not have been done.</summary>
    public void OnDisconnected(NodeId peer)
    {
        foreach ((ulong id, Forwarded write) in _waiting)
        {
            if (write.Leader == peer)
            {
                _ended.Add(id);
            }
        }

        End("The connection to the shard's leader broke before it answered; the write may or may not have been done.");
    }

    /// <summary>Gives up what is past its deadline.</summary>
    public void Tick()
    {
        if (++_ticks < SweepTicks)
        {
            return;
        }

        _ticks = 0;
        foreach ((ulong id, Forwarded write) in _waiting)
        {
            if (write.Operation.DeadlineMs <= worker.NowMs)
            {
                _ended.Add(id);
            }
        }

        End("The shard's leader did not answer before the deadline; the write may or may not have been done.");
    }

    /// <summary>Gives up everything.</summary>
    public void Stop()
    {
        _ended.AddRange(_waiting.Keys);
        End("The node stopped before the shard's leader answered; the write may or may not have been done.");
    }

    private void End(string message)
    {
        foreach (ulong id in _ended)
        {
            if (_waiting.Remove(id, out Forwarded write))
            {
                write.End();
                worker.Fail(write.Operation, ErrorCode.UnknownOutcome, message);
            }
        }

        _ended.Clear();
    }

    private readonly record struct Forwarded(Operation Operation, NodeId Leader, IForwardOwner Owner)
    {
        public void HandBack() => Owner.OnHandedBack(Operation, Operation.Tag);

        public void End() => Owner.OnForwardEnded(Operation, Operation.Tag);
    }
}

/// <summary>
/// A write that another node forwarded to this one, which leads. It is submitted and completed on the shard's worker, once, and nobody
/// looks at it after that, so the worker uses it for another.
/// </summary>
internal sealed class RemoteWrite(Worker worker) : Operation
{
    private const int MostKeptBytes = 1024;
    private byte[] _memory = [];

    /// <summary>Who forwarded it.</summary>
    public NodeId From { get; set; }

    /// <summary>The term in which it was sent to this node as the leader; in another one it is refused.</summary>
    public Term Term { get; set; }

    /// <summary>The forwarder's number for it.</summary>
    public ulong RequestId { get; set; }

    /// <summary>Keeps a copy of a command, in memory that is used again with the write unless it is large.</summary>
    public void CopyCommand(ReadOnlySpan<byte> command)
    {
        byte[] memory = _memory;
        if (memory.Length < command.Length)
        {
            memory = GC.AllocateUninitializedArray<byte>(Math.Max(command.Length, 128));
            if (command.Length <= MostKeptBytes)
            {
                _memory = memory;
            }
        }

        command.CopyTo(memory);
        Command = memory.AsMemory(0, command.Length);
    }

    /// <inheritdoc/>
    internal override bool IsForwarded => true;

    /// <inheritdoc/>
    protected override void OnCompleted() => worker.Forwards.Reply(this);
}

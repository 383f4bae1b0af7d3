using Henge.Core;
using Henge.Node.Catalog;
using Henge.Node.Clocks;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.Subscriptions;

namespace Henge.Node.Workers;

/// <summary>
/// Where frames from other nodes arrive: checks who sent them, and hands each worker what is for its shards. Called on the transport's
/// threads.
/// </summary>
internal sealed class PeerInbox(
    NodeContext node,
    Worker[] workers,
    Incarnations incarnations,
    ClockExchange clocks,
    PeerMessages messages,
    ShardNewsExchange news,
    WatchSubscriptions subscriptions,
    IPageRecords pages,
    IShardReports reports)
{
    private const int RefusalIntervalMs = 1_000;
    private readonly MemberMap<long> _refusedAtMs = new();
    private readonly PeerBatches _batches = new();
    private readonly Lock _answerLock = new();
    private readonly MemberMap<PeerFrameBuilder?> _answers = new();
    private long _foreignToldMs = -RefusalIntervalMs;

    /// <summary>Takes a frame; what is not good is dropped, as if it had been lost.</summary>
    public void OnFrame(ReadOnlySpan<byte> bytes)
    {
        if (!PeerFrame.TryRead(bytes, out PeerSender sender, out PeerReceiver to, out PeerRecordReader records))
        {
            return;
        }

        if (
            (sender.Cluster != node.Sender.Cluster && !node.Options.Bugs.DoesNotCompareHellos)
            || to.Node != node.Self
            || node.NameOf(sender.Node) is null
            || sender.Node == node.Self)
        {
            OnForeignFrame(sender, to.Node);
            return;
        }

        if (node.Members.HasLeft(sender.Node))
        {
            OnLeft(sender.Node);
            return;
        }

        ulong known = incarnations.Of(sender.Node);
        if (known != 0 && known != sender.Incarnation)
        {
            Refuse(sender.Node);
            return;
        }

        if (to.Incarnation != 0 && to.Incarnation != node.Identity.Incarnation)
        {
            // Before anything in the frame is looked at: its sender counts on what the old directory had.
            incarnations.OnMisaddressed(sender.Node);
            return;
        }

        node.Heard.OnFrame(sender.Node, node.MonotonicMs);
        clocks.OnFrame(sender.Node);
        Dispatch(bytes, sender, records);
    }

    private void Dispatch(ReadOnlySpan<byte> bytes, PeerSender sender, PeerRecordReader records)
    {
        Span<bool> wanted = workers.Length <= 64 ? stackalloc bool[workers.Length] : new bool[workers.Length];
        wanted.Clear();
        while (records.MoveNext())
        {
            if (records.Kind == PeerRecordKind.Refused)
            {
                incarnations.OnRefused(sender.Node, System.Text.Encoding.UTF8.GetString(records.Body));
            }
            else if (records.Kind == PeerRecordKind.Heartbeat)
            {
                AnswerHeartbeat(sender.Node, records);
            }
            else if (records.Kind == PeerRecordKind.ClockQuestion)
            {
                clocks.OnQuestion(sender.Node, records.Body);
            }
            else if (records.Kind == PeerRecordKind.ClockAnswer)
            {
                clocks.OnAnswer(sender.Node, records.Body);
            }
            else if (records.Kind == PeerRecordKind.ShardNews)
            {
                // Here, so that a worker that finds a refusal in the same frame knows already whom to ask instead.
                news.OnNews(records.Body);
            }
            else if (records.Kind == PeerRecordKind.ShardQuestion)
            {
                news.OnQuestion(sender.Node, records.Shard);
            }
            else if (records.Kind == PeerRecordKind.ShardReport)
            {
                reports.OnReports(records.Body);
            }
            else if (records.Kind is PeerRecordKind.PageRequest or PeerRecordKind.PageReply)
            {
                pages.OnRecord(sender.Node, records.Kind, records.Body);
            }
            else if (records.Kind == PeerRecordKind.Message)
            {
                messages.OnMessage(sender.Node, records.Body);
            }
            else if (WatchSubscriptions.Takes(records.Kind))
            {
                subscriptions.OnRecord(sender.Node, records.Kind, records.Body);
            }
            else
            {
                // An answer's place for the shard has the worker's number, which leads to the worker in the same way.
                wanted[(int)(records.Shard.Value % (uint)workers.Length)] = true;
            }
        }

        if (records.Damaged)
        {
            return;
        }

        for (int i = 0; i < wanted.Length; i++)
        {
            if (wanted[i])
            {
                workers[i].Post(_batches.Rent(sender.Node, bytes));
            }
        }
    }

    private void AnswerHeartbeat(NodeId peer, in PeerRecordReader heartbeat)
    {
        lock (_answerLock)
        {
            PeerFrameBuilder answer = _answers[peer] ??= new PeerFrameBuilder(node.Sender, peer);
            if (SharedHeartbeats.Answer(node, peer, heartbeat.Shard.Value, heartbeat.Body, answer))
            {
                node.Environment.Transport?.Send(peer, answer.Complete(incarnations.Of(peer)));
                answer.Clear();
            }
        }
    }

    private void OnForeignFrame(PeerSender sender, NodeId to)
    {
        long now = node.MonotonicMs;
        long last = Interlocked.Read(ref _foreignToldMs);
        if (now - last < RefusalIntervalMs || Interlocked.CompareExchange(ref _foreignToldMs, now, last) != last)
        {
            return;
        }

        if (sender.Cluster != node.Sender.Cluster)
        {
            node.Events?.ForeignFrameDropped(sender.Node);
        }
        else
        {
            node.Events?.MisaddressedFrameDropped(sender.Node, to);
        }
    }

    // Whatever it promises or says counts for nothing any more.
    private void OnLeft(NodeId peer)
    {
        if (IsTimeToTell(peer))
        {
            node.Events?.LeftMemberRefused(node.NameOf(peer)!);
        }
    }

    private bool IsTimeToTell(NodeId peer)
    {
        long now = node.MonotonicMs;
        long last = Interlocked.Read(ref _refusedAtMs[peer]);
        if (last != 0 && now - last < RefusalIntervalMs)
        {
            return false;
        }

        Interlocked.Exchange(ref _refusedAtMs[peer], Math.Max(1, now));
        return true;
    }

    private void Refuse(NodeId peer)
    {
        if (!IsTimeToTell(peer))
        {
            return;
        }

        string name = node.NameOf(peer)!;
        string message = Catalog.Incarnations.MessageFor(name);
        node.Events?.PeerDirectoryRefused(name, message);
        var frame = new PeerFrameBuilder(node.Sender, peer);
        frame.BeginRecord(PeerRecordKind.Refused, ShardId.Catalog);
        byte[] text = System.Text.Encoding.UTF8.GetBytes(message);
        text.CopyTo(frame.GetSpan(text.Length));
        frame.Advance(text.Length);
        frame.EndRecord();
        node.Environment.Transport?.Send(peer, frame.Complete(receiverIncarnation: 0));
    }
}

using System.Buffers;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.Reads;
using Henge.Node.StateMachine;
using Henge.Node.Workers;
using Henge.Storage;

namespace Henge.Node.Remote;

/// <summary>
/// Reads pages of this node's shards for other nodes: waits until history is closed at the page's version in each of them, then reads on a
/// lane. What the node does not host it says so. Thread-safe.
/// </summary>
internal sealed class PageServer(
    NodeContext node,
    Worker[] workers,
    ReadLanes lanes,
    NodeReads reads,
    Func<ShardId, ShardStateMachine?> machineOf,
    Func<AccessView> access)
{
    private readonly NodeContext _node = node;
    private readonly Worker[] _workers = workers;
    private readonly ReadLanes _lanes = lanes;
    private readonly NodeReads _reads = reads;
    private readonly Func<ShardId, ShardStateMachine?> _machineOf = machineOf;
    private readonly Func<AccessView> _access = access;

    /// <summary>Takes a request in, on the transport's thread.</summary>
    public void OnRequest(NodeId from, ReadOnlySpan<byte> body)
    {
        if (
            PageRequest.TryRead(body, out AskerRecord asker) is not { } request
            || request.Shards.Any(s => s.Value >= (uint)_node.Shards.Count))
        {
            return;
        }

        if (!_node.Options.Bugs.TrustsOldChecks && asker.Check(_access(), request.Page) is { } problem)
        {
            new Job(this, from, request).Refuse(problem.Code, problem.Message);
            return;
        }

        if (!_node.TryAdmit(1, request.Page.Query.LimitBytes))
        {
            new Job(this, from, request).Refuse(
                ErrorCode.ResourceExhausted,
                "The node has too many operations under way. Try again later.");
            return;
        }

        new Job(this, from, request).Begin();
    }

    /// <summary>One page for one node.</summary>
    private sealed class Job(PageServer server, NodeId from, PageRequest request) : IReadJob, IScanReceiver
    {
        private readonly List<Part> _parts = [];
        private int _unfinished;
        private ArrayBufferWriter<byte>? _entries;
        private int _bytes;
        private int _items;
        private bool _isFull;

        private NodeContext Node => server._node;

        /// <summary>Asks the shards that are not closed at the version yet.</summary>
        public void Begin()
        {
            bool isNewest = request.Page.IsNewest;
            long deadlineMs = Node.MonotonicMs + Math.Min(request.RemainingMs, PageFetcher.AttemptMs);
            foreach (ShardId shard in request.Shards)
            {
                ShardStateMachine? machine = server._machineOf(shard);
                if (machine is not null && (Node.Options.Bugs.PagesBeforeClosed || request.Page.IsStale))
                {
                    continue;
                }

                if (machine is not null && !isNewest && request.Page.Query.Version <= machine.LastVersion)
                {
                    continue;
                }

                _parts.Add(new Part(this)
                {
                    Kind = OperationKind.Barrier,
                    Phase = isNewest ? BarrierPhase.Collect : BarrierPhase.Close,
                    Shard = shard,
                    ReadVersion = isNewest ? default : request.Page.Query.Version,
                    Consistency = ReadConsistency.Linearizable,
                    DeadlineMs = deadlineMs,
                });
            }

            _unfinished = _parts.Count;
            if (_parts.Count == 0)
            {
                server._lanes.Submit(this);
                return;
            }

            Node.Admit(_parts.Count);
            foreach (Part part in _parts)
            {
                server._workers[part.Shard.Value % (uint)server._workers.Length].Submit(part);
            }
        }

        /// <summary>Answers with an error; nothing was begun.</summary>
        public void Refuse(ErrorCode error, string message)
        {
            var frame = new PeerFrameBuilder(Node.Sender, from);
            frame.BeginRecord(PeerRecordKind.PageReply, ShardId.Catalog);
            PageReply.Write(frame, request.Id, error, message);
            frame.EndRecord();
            Node.Environment.Transport?.Send(from, frame.Complete(Node.Incarnations.Of(from)));
        }

        /// <summary>One shard has answered.</summary>
        public void OnPart()
        {
            if (Interlocked.Decrement(ref _unfinished) == 0)
            {
                server._lanes.Submit(this);
            }
        }

        /// <inheritdoc/>
        public void Run(ReadLane lane)
        {
            lane.Buffer.ResetWrittenCount();
            _entries = lane.Buffer;
            try
            {
                Answer(lane);
            }
            catch (HengeException e)
            {
                Answer(lane, e.Code, e.Message);
            }

            Node.OnCompleted(1, request.Page.Query.LimitBytes);
        }

        /// <inheritdoc/>
        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs)
        {
            // A scan keeps to its bytes by itself; the versions of a key do not.
            if (_isFull || (_items > 0 && request.Page.IsHistory && _bytes + key.Length + value.Length > request.Page.Query.LimitBytes))
            {
                _isFull = true;
                return;
            }

            int size = RemotePage.SizeOf(key.Length, value.Length);
            RemotePage.WriteEntry(_entries!.GetSpan(size), key, value, version, kind, expiresAtMs);
            _entries.Advance(size);
            _bytes += key.Length + value.Length;
            _items++;
        }

        private void Answer(ReadLane lane)
        {
            if (_parts.Find(static p => p.Error == ErrorCode.NotLeader) is { } elsewhere)
            {
                foreach (Part part in _parts.Where(static p => p.Error == ErrorCode.NotLeader))
                {
                    PeerFrameBuilder news = lane.Begin(from, PeerRecordKind.ShardNews, ShardId.Catalog);
                    ShardNews.Append(news, Node.Directory.PlaceOf(part.Shard));
                    news.EndRecord();
                }

                Answer(lane, elsewhere.Error, elsewhere.ErrorMessage);
                return;
            }

            if (_parts.Find(static p => p.Error != ErrorCode.None) is { } failed)
            {
                Answer(lane, failed.Error, failed.ErrorMessage);
                return;
            }

            if (request.Page.IsNewest)
            {
                request.Page.Seen = _parts[0].Version;
            }

            ScanEnd end = server._reads.Read(request.Page, this, request.Shards);
            end = end with { Items = _items, More = end.More || _isFull };
            PeerFrameBuilder frame = lane.Begin(from, PeerRecordKind.PageReply, ShardId.Catalog);
            PageReply.Write(frame, request.Id, end, _entries!.WrittenSpan);
            frame.EndRecord();
        }

        private void Answer(ReadLane lane, ErrorCode error, string? message)
        {
            PeerFrameBuilder frame = lane.Begin(from, PeerRecordKind.PageReply, ShardId.Catalog);
            PageReply.Write(frame, request.Id, error, message ?? "");
            frame.EndRecord();
        }
    }

    /// <summary>The part of a page that is one shard's.</summary>
    private sealed class Part(Job job) : Operation
    {
        /// <inheritdoc/>
        internal override bool IsForwarded => true;

        /// <inheritdoc/>
        protected override void OnCompleted() => job.OnPart();
    }
}

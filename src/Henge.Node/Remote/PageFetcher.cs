using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.Workers;
using Henge.Raft;

namespace Henge.Node.Remote;

/// <summary>
/// Fetches what other nodes have of a page: one request to each leader of shards that this node does not host, for all that it leads. What
/// a node does not answer in time, or cannot, is asked of another one. When all of a page is here nothing is fetched. Thread-safe.
/// </summary>
internal sealed class PageFetcher(NodeContext node, Func<ShardId, Core.Version, bool> servesAt, Worker[] workers)
{
    /// <summary>How long a node may take to answer before another one is asked.</summary>
    public const long AttemptMs = 1_500;

    // Bounds the memory that pages on their way take: each node gives at most a page of the size that was asked for. Others wait their
    // turn.
    private const int MostUnderWay = 32;

    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, Request> _requests = [];
    private readonly List<PendingFetch> _fetches = [];

    // Begins anywhere, anew at each start: an answer to a request of before a restart must not pass for that to a request of after it.
    private ulong _lastId = new SplitMix64Random(node.Environment.Seed ^ 0xF0A4_D200).NextUInt64();

    /// <summary>Takes an operation of kind <see cref="OperationKind.Page"/> in, which is counted already.</summary>
    public void Submit(Operation operation)
    {
        PageFetch page = operation.Page
            ?? throw new ArgumentException("An operation of this kind needs a page.", nameof(operation));
        if (!page.IsNewest)
        {
            Fetch(operation, page);
            return;
        }

        ShardId shard = node.Shards.ShardOf(page.Query.Lower.Span);
        node.Admit(1);
        workers[shard.Value % (uint)workers.Length].Submit(new NewestBarrier(this, operation, page)
        {
            Kind = OperationKind.Barrier,
            Phase = BarrierPhase.Collect,
            Shard = shard,
            Consistency = ReadConsistency.Linearizable,
            DeadlineMs = operation.DeadlineMs,
        });
    }

    private void Fetch(Operation operation, PageFetch page)
    {
        List<ShardId>? missing = null;
        ScanQuery query = page.Query;
        if (page.IsHistory || KeyRangeIsOneKey(query))
        {
            ShardId shard = node.Shards.ShardOf(query.Lower.Span);
            missing = servesAt(shard, page.Required) ? null : [shard];
        }
        else
        {
            for (uint s = 0; s < node.Shards.Count; s++)
            {
                if (!servesAt(new ShardId(s), page.Required))
                {
                    (missing ??= []).Add(new ShardId(s));
                }
            }
        }

        if (missing is null)
        {
            node.OnCompleted(1, operation.Command.Length);
            operation.Complete();
            return;
        }

        var fetch = new PendingFetch(operation, page, missing);
        lock (_gate)
        {
            _fetches.Add(fetch);
            Begin();
            if (!fetch.IsOver)
            {
                return;
            }

            // All of it has come here meanwhile.
            Remove(fetch);
        }

        End(fetch);
    }

    private void OnNewest(NewestBarrier barrier, Operation operation, PageFetch page)
    {
        if (barrier.Error == ErrorCode.None)
        {
            page.Seen = barrier.Version;
            Fetch(operation, page);
            return;
        }

        node.OnCompleted(1, operation.Command.Length);
        operation.Fail(barrier.Error, barrier.ErrorMessage ?? "", barrier.LeaderHint);
    }

    /// <summary>A page has come, or why there is none.</summary>
    public void OnReply(NodeId from, ReadOnlySpan<byte> body)
    {
        if (!PageReply.TryRead(body, out PageReply reply))
        {
            return;
        }

        PendingFetch fetch;
        lock (_gate)
        {
            if (!_requests.TryGetValue(reply.Id, out Request? request) || request.To != from)
            {
                return;
            }

            _requests.Remove(reply.Id);
            fetch = request.Fetch;
            fetch.UnderWay--;
            switch (reply.Error)
            {
                case ErrorCode.None:
                    if (
                        RemotePage.TryCreate(
                            request.Shards,
                            reply.Body.ToArray(),
                            reply.Count,
                            reply.HasMore,
                            reply.NextKey.ToArray(),
                            reply.Applied) is { } page)
                    {
                        fetch.Page.Pages.Add(page);
                        break;
                    }

                    fetch.Missing.AddRange(request.Shards);
                    break;
                case ErrorCode.NotLeader or ErrorCode.Unavailable or ErrorCode.Stopping:
                    fetch.LastProblem = reply.Message;
                    fetch.Missing.AddRange(request.Shards);
                    break;
                default:
                    fetch.Error = reply.Error;
                    fetch.LastProblem = reply.Message;
                    break;
            }

            if (!fetch.IsOver)
            {
                return;
            }

            Remove(fetch);
        }

        End(fetch);
    }

    /// <summary>The stream to a node broke: what was asked there may never be answered.</summary>
    public void OnDisconnected(NodeId peer)
    {
        lock (_gate)
        {
            foreach ((ulong id, Request request) in _requests)
            {
                if (request.To == peer)
                {
                    GiveUp(id, request, "The connection to a node that has a part of the page broke.");
                }
            }
        }
    }

    /// <summary>Asks again, and elsewhere, what was not answered.</summary>
    public void Tick()
    {
        List<PendingFetch>? over = null;
        lock (_gate)
        {
            if (_fetches.Count == 0)
            {
                return;
            }

            long now = node.MonotonicMs;
            foreach ((ulong id, Request request) in _requests)
            {
                if (request.DueMs <= now)
                {
                    GiveUp(id, request, "A node that has a part of the page did not answer in time.");
                }
            }

            for (int i = _fetches.Count - 1; i >= 0; i--)
            {
                PendingFetch fetch = _fetches[i];
                if (fetch.Operation.DeadlineMs <= now)
                {
                    fetch.Error = ErrorCode.Unavailable;
                    fetch.LastProblem = "None of the nodes that have a part of the page could give it before the deadline. Try again. "
                        + fetch.LastProblem;
                    (over ??= []).Add(fetch);
                }
                else if (fetch.HasBegun)
                {
                    if (fetch.Missing.Count > 0)
                    {
                        fetch.Attempt++;
                        Ask(fetch);
                    }

                    if (fetch.IsOver)
                    {
                        (over ??= []).Add(fetch);
                    }
                }
            }

            over?.ForEach(Remove);
        }

        over?.ForEach(End);
    }

    /// <summary>Fails everything.</summary>
    public void Stop()
    {
        List<PendingFetch> all;
        lock (_gate)
        {
            all = [.. _fetches];
            _fetches.Clear();
            _requests.Clear();
        }

        foreach (PendingFetch fetch in all)
        {
            fetch.Error = ErrorCode.Stopping;
            fetch.LastProblem = "The node is stopping. Ask another one.";
            End(fetch);
        }
    }

    private static bool KeyRangeIsOneKey(in ScanQuery query) => KeyRange.Between(query.Lower, query.Upper).IsOneKey;

    // With the lock, as all that follow.
    private void Begin()
    {
        for (int i = 0; i < _fetches.Count && i < MostUnderWay; i++)
        {
            if (!_fetches[i].HasBegun)
            {
                _fetches[i].HasBegun = true;
                Ask(_fetches[i]);
            }
        }
    }

    // One request to each node, for all the shards that it is asked for.
    private void Ask(PendingFetch fetch)
    {
        List<ShardId> shards = [.. fetch.Missing];
        fetch.Missing.Clear();
        var byNode = new SortedDictionary<ulong, List<ShardId>>();
        foreach (ShardId shard in shards)
        {
            if (servesAt(shard, fetch.Page.Required))
            {
                // It has come here meanwhile.
                continue;
            }

            ShardPlace place = node.Directory.PlaceOf(shard);
            NodeId to = fetch.Page.IsStale ? node.Near.Of(place, fetch.Attempt) : place.LeaderOrVoter(fetch.Attempt, node.Self);
            if (to.IsNone || node.AddressOf(to) is null)
            {
                fetch.Missing.Add(shard);
                continue;
            }

            if (!byNode.TryGetValue(to.Value, out List<ShardId>? its))
            {
                byNode.Add(to.Value, its = []);
            }

            its.Add(shard);
        }

        foreach ((ulong to, List<ShardId> its) in byNode)
        {
            Send(fetch, new NodeId(to), its);
        }
    }

    private void Send(PendingFetch fetch, NodeId to, List<ShardId> shards)
    {
        long now = node.MonotonicMs, dueMs = Math.Min(fetch.Operation.DeadlineMs, now + AttemptMs);
        var request = new PageRequest
        {
            Id = ++_lastId,
            RemainingMs = (uint)Math.Clamp(dueMs - now, 1, AttemptMs),
            Page = fetch.Page,
            Shards = shards,
        };
        var frame = new PeerFrameBuilder(node.Sender, to);
        frame.BeginRecord(PeerRecordKind.PageRequest, ShardId.Catalog);
        request.Write(frame, fetch.Operation);
        frame.EndRecord();
        if (node.Environment.Transport?.Send(to, frame.Complete(node.Incarnations.Of(to))) == true)
        {
            _requests.Add(request.Id, new Request(fetch, to, shards, dueMs));
            fetch.UnderWay++;
        }
        else
        {
            fetch.LastProblem = "A node that has a part of the page cannot be reached.";
            fetch.Missing.AddRange(shards);
        }
    }

    private void GiveUp(ulong id, Request request, string problem)
    {
        _requests.Remove(id);
        request.Fetch.UnderWay--;
        request.Fetch.LastProblem = problem;
        request.Fetch.Missing.AddRange(request.Shards);
    }

    private void Remove(PendingFetch fetch)
    {
        _fetches.Remove(fetch);
        foreach ((ulong id, Request request) in _requests)
        {
            if (request.Fetch == fetch)
            {
                _requests.Remove(id);
            }
        }

        Begin();
    }

    private void End(PendingFetch fetch)
    {
        Operation operation = fetch.Operation;
        node.OnCompleted(1, operation.Command.Length);
        if (fetch.Error == ErrorCode.None)
        {
            operation.Complete();
        }
        else
        {
            operation.Fail(fetch.Error, fetch.LastProblem ?? "");
        }
    }

    /// <summary>Finds out to which version a shard has come, before the newest of a key is read.</summary>
    private sealed class NewestBarrier(PageFetcher fetcher, Operation operation, PageFetch page) : Operation
    {
        /// <inheritdoc/>
        protected override void OnCompleted() => fetcher.OnNewest(this, operation, page);
    }

    private sealed record Request(PendingFetch Fetch, NodeId To, List<ShardId> Shards, long DueMs);

    private sealed class PendingFetch(Operation operation, PageFetch page, List<ShardId> missing)
    {
        public Operation Operation => operation;

        public PageFetch Page => page;

        /// <summary>Shards that are to be asked for.</summary>
        public List<ShardId> Missing => missing;

        public bool HasBegun { get; set; }

        public int UnderWay { get; set; }

        public int Attempt { get; set; }

        public ErrorCode Error { get; set; }

        public string? LastProblem { get; set; }

        public bool IsOver => Error != ErrorCode.None || (UnderWay == 0 && Missing.Count == 0);
    }
}

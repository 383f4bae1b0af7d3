using System.Collections.Concurrent;
using System.Threading.Channels;
using Henge.Client.Tests.Fakes;
using Henge.Core;
using Henge.Protocol.Grpc;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests;

/// <summary>How a client follows a cluster that changes: over a stream, at whichever node has one for it.</summary>
public sealed class TopologyTests : IAsyncLifetime
{
    private readonly CancellationTokenSource _limit = new(TimeSpan.FromMinutes(1));
    private RealStore _store = null!;

    private static readonly string Key = Enumerable.Range(0, 100).Select(static i => $"k{i}").First(static k =>
        new ShardMap(2).ShardOf(System.Text.Encoding.UTF8.GetBytes(k)).Value == 1);

    public async ValueTask InitializeAsync() => _store = await RealStore.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _limit.Dispose();
    }

    [Fact]
    public async Task A_client_with_one_address_hears_of_nodes_and_leaders_as_they_come_and_go()
    {
        await using Node first = await Node.StartAsync(_store);
        await using Node second = await Node.StartAsync(_store);
        first.Tells(1, [first], (0, 1, first), (1, 1, first));
        await using HengeClient client = new(new HengeClientOptions { Peers = [first.Address], UseSessions = false });
        await client.PutAsync(Key, "v", cancellationToken: _limit.Token);
        await UntilAsync(() => first.Streams == 1);
        Assert.Equal(0, second.Count("Put"));

        // A node joins, and is handed the lead of a shard.
        first.Tells(2, [first, second], (1, 2, second));
        await UntilAsync(async () =>
        {
            await client.PutAsync(Key, "v", cancellationToken: _limit.Token);
            return second.Count("Put") > 0;
        });

        // It hands it back and leaves.
        first.Tells(3, [first], (1, 3, first));
        await UntilAsync(async () =>
        {
            int before = first.Count("Put");
            await client.PutAsync(Key, "v", cancellationToken: _limit.Token);
            return first.Count("Put") > before;
        });
        int puts = second.Count("Put");
        for (int i = 0; i < 20; i++)
        {
            await client.PutAsync($"k{i}", "v", cancellationToken: _limit.Token);
        }

        Assert.Equal(puts, second.Count("Put"));
        Assert.Equal(1, first.Count("Topology"));
    }

    [Fact]
    public async Task When_the_stream_breaks_another_node_goes_on_and_what_is_known_is_not_taken_back()
    {
        await using Node first = await Node.StartAsync(_store);
        await using Node second = await Node.StartAsync(_store);
        foreach (Node node in new[] { first, second })
        {
            node.Tells(1, [first, second], (0, 1, first), (1, 1, first));
        }

        await using HengeClient client = new(new HengeClientOptions { Peers = [first.Address], UseSessions = false });
        await client.PutAsync(Key, "v", cancellationToken: _limit.Token);
        await UntilAsync(() => first.Streams + second.Streams == 1);
        (Node at, Node other) = first.Streams == 1 ? (first, second) : (second, first);
        at.Tells(1, [], (1, 7, second));
        await UntilAsync(async () =>
        {
            int before = second.Count("Put");
            await client.PutAsync(Key, "v", cancellationToken: _limit.Token);
            return second.Count("Put") > before;
        });

        // The other node has not heard of the change. It says what it knows, which does not count.
        at.BreakStreams();
        await UntilAsync(() => other.Streams == 1);
        await UntilAsync(() => other.Sent >= 1);
        int asked = first.Count("Put");
        for (int i = 0; i < 20; i++)
        {
            await client.PutAsync(Key, "v", cancellationToken: _limit.Token);
        }

        Assert.Equal(asked, first.Count("Put"));
        other.Tells(1, [], (1, 8, first));
        await UntilAsync(async () =>
        {
            await client.PutAsync(Key, "v", cancellationToken: _limit.Token);
            return first.Count("Put") > asked;
        });
    }

    [Fact]
    public async Task A_refusal_of_a_newer_term_is_followed_and_a_stream_that_does_not_get_to_hear_of_it_is_left()
    {
        await using Node first = await Node.StartAsync(_store);
        await using Node second = await Node.StartAsync(_store);
        foreach (Node node in new[] { first, second })
        {
            node.Tells(1, [first, second], (0, 1, first), (1, 1, first));
        }

        first.RefusesFor = (second.Address, 2);
        await using HengeClient client = new(new HengeClientOptions { Peers = [first.Address], UseSessions = false });
        await UntilAsync(async () =>
        {
            await client.GetAsync("x", cancellationToken: _limit.Token);
            return first.Streams + second.Streams == 1;
        });
        Node behind = first.Streams == 1 ? first : second;
        (behind == first ? second : first).Tells(1, [first, second], (0, 1, first), (1, 2, second));
        await client.PutAsync(Key, "v", cancellationToken: _limit.Token);
        Assert.Equal(1, second.Count("Put"));

        // The next one goes there straight away, and the client looks for a node that knows as much as it does.
        int asked = first.Count("Put");
        await client.PutAsync(Key, "v", cancellationToken: _limit.Token);
        Assert.Equal(asked, first.Count("Put"));
        await UntilAsync(() => behind.Streams == 0 && first.Streams + second.Streams == 1);
    }

    [Fact]
    public async Task An_older_node_is_asked_again_and_again()
    {
        await using Node first = await Node.StartAsync(_store, knowsStreams: false);
        await using Node second = await Node.StartAsync(_store, knowsStreams: false);
        first.Tells(0, [first], (0, 1, first), (1, 1, first));
        await using HengeClient client = new(new HengeClientOptions { Peers = [first.Address], UseSessions = false });
        await client.PutAsync(Key, "v", cancellationToken: _limit.Token);
        first.Tells(0, [first, second], (0, 1, first), (1, 2, second));
        await UntilAsync(async () =>
        {
            await client.PutAsync(Key, "v", cancellationToken: _limit.Token);
            return second.Count("Put") > 0;
        });
        Assert.True(first.Count("Topology") >= 2);
    }

    private Task UntilAsync(Func<bool> holds) => UntilAsync(() => Task.FromResult(holds()));

    private async Task UntilAsync(Func<Task<bool>> holds)
    {
        using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(10));
        while (!await holds())
        {
            await timer.WaitForNextTickAsync(_limit.Token);
        }
    }

    /// <summary>A node that tells of its cluster what the test wants.</summary>
    private sealed class Node(RealStore store) : IAsyncDisposable
    {
        private readonly ConcurrentDictionary<Channel<Wire.TopologyResponse>, bool> _streams = [];
        private readonly Lock _lock = new();
        private Wire.TopologyResponse _whole = new();
        private FakeNode _node = null!;
        private int _sent;

        public string Address => _node.Address;

        public string Name => "n" + _node.Port;

        public int Streams => _streams.Count;

        public int Sent => Volatile.Read(ref _sent);

        /// <summary>Puts are refused, with this leader and its term.</summary>
        public (string Leader, ulong Term)? RefusesFor { get; set; }

        public static async Task<Node> StartAsync(RealStore store, bool knowsStreams = true)
        {
            Node node = new(store);
            node._node = await FakeNode.StartAsync(async call =>
            {
                if (call.Method == "Topology")
                {
                    Wire.TopologyRequest request = (await call.ReadAsync(Wire.TopologyRequest.Parser))!;
                    while (request.NewerThanEpoch >= node._whole.Epoch)
                    {
                        await Task.Delay(5, call.Http.RequestAborted);
                    }

                    await call.WriteAsync(node._whole);
                }
                else if (call.Method == "WatchTopology" && knowsStreams)
                {
                    await node.StreamAsync(call);
                }
                else if (call.Method == "WatchTopology")
                {
                    call.FailBare(GrpcStatusCode.Unimplemented, "no such method");
                }
                else if (call.Method == "Put" && node.RefusesFor is { } refusal)
                {
                    call.Fail(ErrorCode.NotLeader, leader: refusal.Leader, leaderTerm: refusal.Term);
                }
                else
                {
                    await store.HandleAsync(call);
                }
            });
            return node;
        }

        public int Count(string method) => _node.Count(method);

        /// <summary>The topology is this from now on; without nodes, only these shards have changed.</summary>
        public void Tells(ulong members, Node[] nodes, params (int Shard, ulong Term, Node Leader)[] shards)
        {
            Wire.TopologyResponse told = new() { ClusterId = store.ClusterId, MembersGeneration = members, ShardCount = 2 };
            told.Nodes.AddRange(nodes.Select(static n => new Wire.NodeInfo { NodeId = n.Name, Address = n.Address }));
            told.Shards.AddRange(shards.Select(static s => new Wire.ShardInfo
            {
                Shard = (uint)s.Shard,
                Term = s.Term,
                LeaderId = s.Leader.Name,
            }));
            lock (_lock)
            {
                told.Epoch = _whole.Epoch + 1;
                if (nodes.Length > 0)
                {
                    _whole = told;
                }

                foreach (Channel<Wire.TopologyResponse> stream in _streams.Keys)
                {
                    stream.Writer.TryWrite(told);
                }
            }
        }

        public void BreakStreams()
        {
            foreach (Channel<Wire.TopologyResponse> stream in _streams.Keys)
            {
                stream.Writer.TryComplete(new IOException());
            }
        }

        public ValueTask DisposeAsync() => _node.DisposeAsync();

        private async Task StreamAsync(FakeCall call)
        {
            var stream = Channel.CreateUnbounded<Wire.TopologyResponse>();
            lock (_lock)
            {
                stream.Writer.TryWrite(_whole);
                _streams[stream] = true;
            }

            try
            {
                await foreach (Wire.TopologyResponse told in stream.Reader.ReadAllAsync(call.Http.RequestAborted))
                {
                    await call.WriteAsync(told);
                    Interlocked.Increment(ref _sent);
                }
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                // Not broken off, which would have the client ask the node for nothing for a while.
                call.Fail(ErrorCode.Stopping);
            }
            finally
            {
                _streams.TryRemove(stream, out _);
            }
        }
    }
}

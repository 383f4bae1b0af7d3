using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Henge.Core;
using Henge.Node;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.StateMachine;
using Henge.Server.Peers;
using Henge.Server.Runtime;
using Henge.Storage;

namespace Henge.Server.Tests.Peers;

public sealed class PeerTransportTests : IDisposable
{
    private readonly string _directory = Path.Combine(Path.GetTempPath(), "henge-peers-" + Guid.NewGuid().ToString("N"));
    private readonly PeerListener[] _listeners;
    private readonly ClusterMember[] _members;
    private readonly NodeHost?[] _hosts = new NodeHost?[3];

    public PeerTransportTests()
    {
        _listeners = [.. Enumerable.Range(0, 3).Select(static _ => new PeerListener(new IPEndPoint(IPAddress.Loopback, 0)))];
        _members = [.. _listeners.Select(static (l, i) => new ClusterMember($"node{i + 1}", l.EndPoint.ToString()))];
    }

    public void Dispose()
    {
        foreach (NodeHost? host in _hosts)
        {
            host?.Dispose();
        }

        foreach (PeerListener listener in _listeners)
        {
            listener.Dispose();
        }

        if (Directory.Exists(_directory))
        {
            Directory.Delete(_directory, recursive: true);
        }
    }

    [Theory]
    [InlineData("pool")]
    [InlineData("pinned")]
    [InlineData("queue")]
    [InlineData("thread")]
    public async Task Three_nodes_over_real_sockets_agree_whatever_the_workers_run_on(string scheduler)
    {
        for (int i = 0; i < 3; i++)
        {
            Start(i, scheduler);
        }

        for (int i = 0; i < 50; i++)
        {
            await Put(i % 3, $"k{i}", $"v{i}");
            Assert.Equal($"v{i}", await Get((i + 1) % 3, $"k{i}"));
        }
    }

    [Fact]
    public async Task A_node_that_was_stopped_is_done_without_and_comes_back()
    {
        for (int i = 0; i < 3; i++)
        {
            Start(i);
        }

        await Put(0, "a", "1");
        _hosts[2]!.Dispose();
        _hosts[2] = null;
        await Put(0, "a", "2");
        await Put(1, "b", "2");
        Start(2);
        Assert.Equal("2", await Get(2, "a"));
        Assert.Equal("2", await Get(2, "b"));
        await Put(2, "a", "3");
        Assert.Equal("3", await Get(0, "a"));
    }

    [Fact]
    public async Task Garbage_closes_its_connection_and_nothing_else()
    {
        for (int i = 0; i < 3; i++)
        {
            Start(i);
        }

        await Put(0, "a", "1");
        var random = new Random(1);
        for (int i = 0; i < 20; i++)
        {
            using var client = new TcpClient();
            await client.ConnectAsync(_listeners[0].EndPoint, TestContext.Current.CancellationToken);
            byte[] bytes = new byte[random.Next(12, 2_000)];
            random.NextBytes(bytes);
            if (i % 2 == 0)
            {
                "HGP"u8.CopyTo(bytes);
                bytes[3] = 2;
                bytes.AsSpan(4, 4).Clear();
                bytes[4] = 200;
            }

            NetworkStream stream = client.GetStream();
            await stream.WriteAsync(bytes, TestContext.Current.CancellationToken);
            await AwaitEnd(client, stream);
        }

        await Put(0, "a", "2");
        Assert.Equal("2", await Get(1, "a"));
    }

    [Fact]
    public void A_frame_to_an_unknown_node_or_without_a_connection_is_dropped_and_never_waited_for()
    {
        using var transport = new PeerTransport(
            new NodeId(1),
            [new NodeEntry(new NodeId(1), "a", "127.0.0.1:1"), new NodeEntry(new NodeId(2), "b", "127.0.0.1:1")]);
        Assert.False(transport.Send(new NodeId(2), new byte[100]));
        Assert.False(transport.Send(new NodeId(9), new byte[100]));
    }

    [Fact]
    public async Task Messages_for_a_peer_that_does_not_read_are_dropped_while_frames_of_Raft_still_find_room()
    {
        const int Bound = 256 * 1024, FrameBytes = 32 * 1024;
        using var peer = new TcpListener(IPAddress.Loopback, 0);
        peer.Start();
        using var transport = new PeerTransport(
            new NodeId(1),
            [new NodeEntry(new NodeId(1), "a", "127.0.0.1:1"), new NodeEntry(new NodeId(2), "b", peer.LocalEndpoint.ToString()!)],
            new PeerTransportOptions { MessageQueueBytes = Bound });
        transport.Start(new AgreeingReceiver());
        using TcpClient accepted = await peer.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
        byte[] hello = AgreeingReceiver.Hello;
        await accepted.GetStream().ReadExactlyAsync(new byte[hello.Length], TestContext.Current.CancellationToken);
        await accepted.GetStream().WriteAsync(hello, TestContext.Current.CancellationToken);
        PeerConnection connection = Assert.Single(transport.Connections);
        while (!connection.IsConnected)
        {
            await Task.Yield();
        }

        // What sockets buffer comes on top; then the bound holds, in the buffer that leaves and in the one that waits.
        byte[] frame = new byte[FrameBytes];
        int taken = 0;
        while (transport.SendMessages(new NodeId(2), frame))
        {
            Assert.True(++taken < 100_000, "nothing was dropped");
        }

        Assert.True(connection.QueuedBytes <= Bound + FrameBytes, $"{connection.QueuedBytes} bytes wait");
        Assert.False(transport.SendMessages(new NodeId(2), frame));
        Assert.True(transport.Send(new NodeId(2), frame));
    }

    [Fact]
    public void The_first_three_bytes_tell_a_peer()
    {
        using var transport = new PeerTransport(new NodeId(1), []);
        var protocol = new PeerProtocol(transport);
        Assert.True(protocol.Matches("HGP\u0001"u8, out _));
        Assert.True(protocol.Matches("HGP\u0009"u8, out _));
        Assert.False(protocol.Matches("HG"u8, out bool more));
        Assert.True(more);
        Assert.False(protocol.Matches("HELLO 3"u8, out more));
        Assert.False(more);
    }

    private static async Task AwaitEnd(TcpClient client, NetworkStream stream)
    {
        try
        {
            client.Client.Shutdown(SocketShutdown.Send);
            Assert.Equal(0, await stream.ReadAsync(new byte[1], TestContext.Current.CancellationToken));
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            // Closed with bytes of ours unread, which TCP tells by a reset.
            Assert.NotNull(e.Message);
        }
    }

    private void Start(int i, string scheduler = "pool")
    {
        _hosts[i] = NodeHost.Start(
            new NodeHostOptions
            {
                Scheduler = scheduler,
                EngineMemoryBytes = 64 << 20,
                Node = new NodeOptions
                {
                    Name = _members[i].Name,
                    DataDirectory = Path.Combine(_directory, _members[i].Name),
                    Cluster = _members,
                    Shards = 4,
                    LogSegmentBytes = 16 << 20,
                    DefaultDeadlineMs = 20_000,
                },
            });
        _listeners[i].Start(_hosts[i]!.Transport!);
    }

    private async Task Put(int node, string key, string value)
    {
        var writer = new ArrayBufferWriter<byte>();
        byte[] bytes = Encoding.UTF8.GetBytes(key);
        CommandEncoder.Put(writer, bytes, Encoding.UTF8.GetBytes(value));

        // A write that was sent to a leader that has just gone is unknown; this one may be done twice.
        for (int attempt = 0; ; attempt++)
        {
            var put = new Awaited { Kind = OperationKind.Write, Key = bytes, Command = writer.WrittenMemory };
            _hosts[node]!.Node.Submit(put);
            await put.Done;
            if (put.Error == ErrorCode.None)
            {
                return;
            }

            Assert.True(put.Error is ErrorCode.UnknownOutcome && attempt < 5, $"{put.Error}: {put.ErrorMessage}");
        }
    }

    private async Task<string?> Get(int node, string key)
    {
        HengeNode target = _hosts[node]!.Node;
        var get = new Awaited { Kind = OperationKind.Get, Key = Encoding.UTF8.GetBytes(key) };
        target.Submit(get);
        await get.Done;
        Assert.True(get.Error == ErrorCode.None, $"{get.Error}: {get.ErrorMessage}");
        if (!target.TryRead(get, out PinnedValue value))
        {
            return null;
        }

        using (value)
        {
            return Encoding.UTF8.GetString(value.Span);
        }
    }

    private sealed class AgreeingReceiver : IPeerReceiver
    {
        /// <summary>The prefix of a frame and as many bytes as it says.</summary>
        public static byte[] Hello { get; } = [.. BitConverter.GetBytes(PeerFrame.Magic), .. BitConverter.GetBytes(100), .. new byte[104]];

        public byte[] HelloTo(NodeId peer) => Hello;

        public bool OnHello(ReadOnlySpan<byte> frame, out NodeId peer)
        {
            peer = new NodeId(2);
            return true;
        }

        public void OnFrame(ReadOnlySpan<byte> frame) => Assert.Fail("nothing was sent");

        public void OnDisconnected(NodeId peer) => Assert.Equal(new NodeId(2), peer);
    }

    private sealed class Awaited : Operation
    {
        private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Done => _done.Task;

        protected override void OnCompleted() => _done.SetResult();
    }
}

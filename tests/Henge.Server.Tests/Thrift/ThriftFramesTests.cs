using System.Buffers.Binary;
using System.Net;
using System.Text;
using Henge.Node.Api;
using Henge.Server.Ports;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Grpc;
using Henge.Server.Thrift;
using Henge.Thrift.Generated;
using Thrift;
using Thrift.Protocol.Entities;

namespace Henge.Server.Tests.Thrift;

/// <summary>Frames as they come: cut anywhere, one after another, and such as make no sense.</summary>
public sealed class ThriftFramesTests : IAsyncLifetime
{
    private readonly FakeNode _node = new() { Limits = new NodeLimits { ValueBytes = 64 * 1024, CommandBytes = 128 * 1024 } };
    private RunningServer _server = null!;

    private IPEndPoint EndPoint => _server.Server.EndPoint;

    public async ValueTask InitializeAsync() =>
        _server = await RunningServer.StartAsync(_node, protocols: ThriftProtocol.Both(_node));

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task Calls_may_be_cut_anywhere(ThriftEncoding encoding)
    {
        byte[] put = await ThriftPeer.CallAsync(encoding, static c => c.send_putAsync(new PutRequest { Key = B("cut"), Value = B("v") }));
        byte[] get = await ThriftPeer.CallAsync(encoding, static c => c.send_getAsync(new GetRequest { Key = B("cut") }));
        byte[] both = [.. put, .. get];
        for (int cut = 1; cut < both.Length; cut++)
        {
            using ThriftPeer peer = await ThriftPeer.OpenAsync(EndPoint, encoding);
            await peer.SayAsync(both.AsMemory(0, cut));
            await peer.SayAsync(both.AsMemory(cut));
            Assert.NotNull(await peer.HearAsync());
            Assert.Equal("v", T((await peer.HearGetAsync()).Value));
        }

        using ThriftPeer slow = await ThriftPeer.OpenAsync(EndPoint, encoding);
        foreach (byte one in both)
        {
            await slow.SayAsync(new[] { one });
        }

        Assert.NotNull(await slow.HearAsync());
        Assert.Equal("v", T((await slow.HearGetAsync()).Value));
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task Calls_that_come_together_are_done_and_answered_in_order(ThriftEncoding encoding)
    {
        List<byte> all = [];
        for (int i = 0; i < 100; i++)
        {
            byte[] value = B($"{i}");
            all.AddRange(await ThriftPeer.CallAsync(encoding, c => c.send_putAsync(new PutRequest { Key = B("one"), Value = value })));
            all.AddRange(await ThriftPeer.CallAsync(encoding, static c => c.send_getAsync(new GetRequest { Key = B("one") })));
        }

        using ThriftPeer peer = await ThriftPeer.OpenAsync(EndPoint, encoding);
        await peer.SayAsync(all.ToArray());

        // Who has nothing more to say still gets all answers, and then the end.
        peer.EndSaying();
        for (int i = 0; i < 100; i++)
        {
            Assert.NotNull(await peer.HearAsync());
            Assert.Equal($"{i}", T((await peer.HearGetAsync()).Value));
        }

        Assert.Null(await peer.HearAsync());
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task A_call_that_there_is_not_is_refused_by_name_and_number(ThriftEncoding encoding)
    {
        using ThriftPeer peer = await ThriftPeer.OpenAsync(EndPoint, encoding);
        await peer.SayAsync(await ThriftPeer.MessageAsync(encoding, "drop", TMessageType.Call, 77));
        (TApplicationException problem, TMessage message) = await peer.HearProblemAsync();
        Assert.Equal(TApplicationException.ExceptionType.UnknownMethod, problem.Type);
        Assert.Equal(("drop", 77), (message.Name, message.SeqID));
        Assert.Contains("multiGet", problem.Message, StringComparison.Ordinal);
        await peer.SayAsync(await ThriftPeer.MessageAsync(encoding, "get", TMessageType.Reply, 78));
        (problem, message) = await peer.HearProblemAsync();
        Assert.Equal((TApplicationException.ExceptionType.InvalidMessageType, 78), (problem.Type, message.SeqID));

        // A message of a known call without its request is answered by an exception of the call's own, and the connection goes on.
        await Assert.ThrowsAsync<InvalidArgument>(() => peer.Calls.getAsync(null));
        Assert.Equal(0, _node.Submitted);
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task A_one_way_call_is_done_and_not_answered(ThriftEncoding encoding)
    {
        using ThriftPeer peer = await ThriftPeer.OpenAsync(EndPoint, encoding);
        await peer.SayAsync(await ThriftPeer.FrameAsync(encoding, static async protocol =>
        {
            await protocol.WriteMessageBeginAsync(new TMessage("put", TMessageType.Oneway, 1), CancellationToken.None);
            await new KVStore.InternalStructs.put_args { Request = new PutRequest { Key = B("one"), Value = B("way") } }
                .WriteAsync(protocol, CancellationToken.None);
        }));
        await peer.SayAsync(await ThriftPeer.MessageAsync(encoding, "drop", TMessageType.Oneway, 2));
        Assert.Equal("way", T((await peer.Calls.getAsync(new GetRequest { Key = B("one") })).Value));
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task Fields_that_are_not_known_are_passed_over(ThriftEncoding encoding)
    {
        using ThriftPeer peer = await ThriftPeer.OpenAsync(EndPoint, encoding);
        await peer.Calls.putAsync(new PutRequest { Key = B("known"), Value = B("v") });
        await peer.SayAsync(await ThriftPeer.FrameAsync(encoding, static async p =>
        {
            CancellationToken none = CancellationToken.None;
            await p.WriteMessageBeginAsync(new TMessage("get", TMessageType.Call, 1), none);
            await p.WriteStructBeginAsync(new TStruct("get_args"), none);
            await p.WriteFieldBeginAsync(new TField("request", TType.Struct, 1), none);
            await p.WriteStructBeginAsync(new TStruct("GetRequest"), none);
            await p.WriteFieldBeginAsync(new TField("key", TType.String, 1), none);
            await p.WriteBinaryAsync(B("known"), none);
            await p.WriteFieldBeginAsync(new TField("later", TType.Map, 100), none);
            await p.WriteMapBeginAsync(new TMap(TType.String, TType.List, 1), none);
            await p.WriteStringAsync("a", none);
            await p.WriteListBeginAsync(new TList(TType.I64, 2), none);
            await p.WriteI64Async(1, none);
            await p.WriteI64Async(2, none);
            await p.WriteFieldBeginAsync(new TField("flag", TType.Bool, 101), none);
            await p.WriteBoolAsync(true, none);

            // Of another type than the API's.
            await p.WriteFieldBeginAsync(new TField("version", TType.String, 2), none);
            await p.WriteStringAsync("latest", none);
            await p.WriteFieldStopAsync(none);
            await p.WriteStructEndAsync(none);
            await p.WriteFieldStopAsync(none);
            await p.WriteStructEndAsync(none);
        }));
        Assert.Equal("v", T((await peer.HearGetAsync()).Value));
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary, 0)]
    [InlineData(ThriftEncoding.Binary, 1)]
    [InlineData(ThriftEncoding.Compact, 0)]
    [InlineData(ThriftEncoding.Compact, 1)]
    public async Task A_frame_that_is_too_long_is_refused_before_it_is_there(ThriftEncoding encoding, int calls)
    {
        using ThriftPeer peer = await ThriftPeer.OpenAsync(EndPoint, encoding);
        for (int i = 0; i < calls; i++)
        {
            await peer.Calls.getAsync(new GetRequest { Key = B("k") });
        }

        byte[] whole = await ThriftPeer.CallAsync(
            encoding, static c => c.send_putAsync(new PutRequest { Key = B("k"), Value = new byte[8 * 1024 * 1024] }));
        await peer.SayAsync(whole.AsMemory(0, 200));
        (TApplicationException problem, TMessage message) = await peer.HearProblemAsync();
        Assert.Equal((TApplicationException.ExceptionType.ProtocolError, "put"), (problem.Type, message.Name));
        Assert.Contains($"{whole.Length - 4} bytes", problem.Message, StringComparison.Ordinal);
        Assert.Equal(0, _server.Server.InputBytes);

        // What the client had under way is taken and thrown away, so that it comes to reading what was wrong.
        try
        {
            await peer.SayAsync(whole.AsMemory(200));
        }
        catch (IOException)
        {
            // It had a second's time for that.
            return;
        }

        Assert.Null(await peer.HearAsync());
        Assert.Equal(calls, _node.Submitted);
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task A_frame_may_be_as_long_as_a_value_may(ThriftEncoding encoding)
    {
        using ThriftPeer peer = await ThriftPeer.OpenAsync(EndPoint, encoding);
        byte[] value = new byte[_node.Limits.ValueBytes];
        Random.Shared.NextBytes(value);
        await peer.Calls.putAsync(new PutRequest { Key = B("long"), Value = value });
        Assert.Equal(value, (await peer.Calls.getAsync(new GetRequest { Key = B("long") })).Value);
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary, "00000000")]
    [InlineData(ThriftEncoding.Binary, "00000001ff")]
    [InlineData(ThriftEncoding.Binary, "0000000480010001")]
    [InlineData(ThriftEncoding.Binary, "00000008800100017fffffff")]
    [InlineData(ThriftEncoding.Binary, "0000000880010001ffffffff")]
    [InlineData(ThriftEncoding.Binary, "00000008deadbeefdeadbeef")]
    [InlineData(ThriftEncoding.Compact, "00000000")]
    [InlineData(ThriftEncoding.Compact, "000000028221")]
    [InlineData(ThriftEncoding.Compact, "0000000b8221ffffffffffffffffff")]
    [InlineData(ThriftEncoding.Compact, "000000088221" + "01ffffffff0f")]
    [InlineData(ThriftEncoding.Compact, "00000008deadbeefdeadbeef")]
    public async Task What_is_no_message_is_answered_and_ends_the_connection(ThriftEncoding encoding, string hex)
    {
        using ThriftPeer peer = await ThriftPeer.OpenAsync(EndPoint, encoding), other = await ThriftPeer.OpenAsync(EndPoint, encoding);
        await peer.Calls.getAsync(new GetRequest { Key = B("k") });
        await other.Calls.getAsync(new GetRequest { Key = B("k") });
        await peer.SayAsync(Convert.FromHexString(hex));
        (TApplicationException problem, TMessage _) = await peer.HearProblemAsync();
        Assert.Equal(TApplicationException.ExceptionType.ProtocolError, problem.Type);
        Assert.Null(await peer.HearAsync());

        // Nobody else notices.
        await other.Calls.getAsync(new GetRequest { Key = B("k") });
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task A_call_that_cannot_be_read_is_refused_and_the_next_one_is_done(ThriftEncoding encoding)
    {
        byte[] get = await ThriftPeer.CallAsync(encoding, static c => c.send_getAsync(new GetRequest { Key = B("some key") }));
        using ThriftPeer peer = await ThriftPeer.OpenAsync(EndPoint, encoding);

        // Cut short behind its header, in each place.
        int header = encoding == ThriftEncoding.Compact ? 7 : 15;
        for (int length = header; length < get.Length - 4; length++)
        {
            await peer.SayAsync(ThriftPeer.Frame(get.AsSpan(4, length)));
            (TApplicationException problem, TMessage message) = await peer.HearProblemAsync();
            Assert.Equal((TApplicationException.ExceptionType.ProtocolError, "get"), (problem.Type, message.Name));
            Assert.StartsWith("The frame is no message", problem.Message, StringComparison.Ordinal);
        }

        Assert.False((await peer.Calls.getAsync(new GetRequest { Key = B("k") })).Found);
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task What_is_announced_takes_no_memory_before_it_is_there(ThriftEncoding encoding)
    {
        using FrameOutput output = new(new TConfiguration());
        using ThriftServicesOf services = new(_node, encoding);
        TType[] elements = [TType.Struct, TType.I64, TType.String, TType.Byte, TType.List];
        List<byte[]> frames = [];
        foreach (TType element in elements)
        {
            foreach (int count in (int[])[1_000_000, int.MaxValue, 1_025])
            {
                frames.Add(await AnnouncingAsync(encoding, "multiPut", element, count));
                frames.Add(await AnnouncingAsync(encoding, "unknown field", element, count));
            }
        }

        frames.Add(await AnnouncingBytesAsync(encoding, int.MaxValue));
        frames.Add(await AnnouncingBytesAsync(encoding, 100_000_000));
        frames.Add(await AnnouncingBytesAsync(encoding, -1));
        foreach (byte[] frame in frames)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            string? problem = await services.ReadAsync(frame);
            long taken = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.NotNull(problem);
            Assert.True(taken < 64 * 1024, $"{frame.Length} bytes take {taken} bytes of memory");
        }

        using ThriftPeer peer = await ThriftPeer.OpenAsync(EndPoint, encoding);
        foreach (byte[] frame in frames)
        {
            await peer.SayAsync(frame);
            Assert.Equal(TApplicationException.ExceptionType.ProtocolError, (await peer.HearProblemAsync()).Problem.Type);
        }

        Assert.Equal(0, _node.Submitted);
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task What_is_nested_too_deeply_is_refused(ThriftEncoding encoding)
    {
        using ThriftPeer peer = await ThriftPeer.OpenAsync(EndPoint, encoding);
        foreach (int depth in (int[])[20, 1_000, 30_000])
        {
            await peer.SayAsync(await ThriftPeer.FrameAsync(encoding, async p =>
            {
                await p.WriteMessageBeginAsync(new TMessage("get", TMessageType.Call, 1), CancellationToken.None);
                for (int i = 0; i < depth; i++)
                {
                    await p.WriteFieldBeginAsync(new TField("", TType.Struct, 9), CancellationToken.None);
                }
            }));
            (TApplicationException problem, TMessage _) = await peer.HearProblemAsync();
            Assert.Equal(TApplicationException.ExceptionType.ProtocolError, problem.Type);
        }

        Assert.False((await peer.Calls.getAsync(new GetRequest { Key = B("k") })).Found);
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task A_message_has_only_so_many_parts(ThriftEncoding encoding)
    {
        using ThriftPeer peer = await ThriftPeer.OpenAsync(EndPoint, encoding);
        await peer.SayAsync(await ThriftPeer.FrameAsync(encoding, static async p =>
        {
            await p.WriteMessageBeginAsync(new TMessage("get", TMessageType.Call, 1), CancellationToken.None);
            for (int i = 0; i < 70_000; i++)
            {
                await p.WriteFieldBeginAsync(new TField("", TType.Bool, (short)(100 + (i % 10))), CancellationToken.None);
                await p.WriteBoolAsync(true, CancellationToken.None);
            }

            await p.WriteFieldStopAsync(CancellationToken.None);
        }));
        (TApplicationException problem, TMessage _) = await peer.HearProblemAsync();
        Assert.Contains("fields and elements", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Calls_with_bytes_at_random_end_and_the_node_goes_on()
    {
        Random random = new(20);
        for (int i = 0; i < 400; i++)
        {
            ThriftEncoding encoding = i % 2 == 0 ? ThriftEncoding.Binary : ThriftEncoding.Compact;
            byte[] frame = await ThriftPeer.CallAsync(
                encoding,
                static c => c.send_txnAsync(new TxnRequest { Success = [new TxnOperation { Get = new GetRequest { Key = B("k") } }] }));
            for (int changes = random.Next(1, 4); changes > 0; changes--)
            {
                frame[random.Next(encoding == ThriftEncoding.Compact ? 6 : 8, frame.Length)] = (byte)random.Next();
            }

            using ThriftPeer peer = await ThriftPeer.OpenAsync(EndPoint, encoding);
            await peer.SayAsync(frame);
            peer.EndSaying();
            while (await peer.HearAsync() is not null)
            {
            }
        }

        await GrpcRulesTests.Until(() => _server.Server.OpenConnections == 0);
        using ThriftPeer last = await ThriftPeer.OpenAsync(EndPoint, ThriftEncoding.Binary);
        Assert.False((await last.Calls.getAsync(new GetRequest { Key = B("k") })).Found);
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task A_client_that_takes_no_answers_keeps_a_bounded_number_of_bytes(ThriftEncoding encoding)
    {
        InputBudget answers = new(256 * 1024);
        FakeNode node = new();
        await using RunningServer server = await RunningServer.StartAsync(
            node, protocols: [new ThriftProtocol(node, encoding) { Answers = answers }]);
        using ThriftPeer peer = await ThriftPeer.OpenAsync(server.Server.EndPoint, encoding);
        await peer.Calls.putAsync(new PutRequest { Key = B("large"), Value = new byte[1024 * 1024] });
        byte[] get = await ThriftPeer.CallAsync(encoding, static c => c.send_getAsync(new GetRequest { Key = B("large") }));
        for (int i = 0; i < 100; i++)
        {
            try
            {
                await peer.SayAsync(get);
            }
            catch (IOException)
            {
                // It is cut.
                break;
            }
        }

        await GrpcRulesTests.Until(() => server.Server.OpenConnections == 0);
        Assert.Equal(0, answers.Used);
    }

    private static async Task<byte[]> AnnouncingAsync(ThriftEncoding encoding, string where, TType element, int count) =>
        await ThriftPeer.FrameAsync(encoding, async p =>
        {
            await p.WriteMessageBeginAsync(new TMessage("multiPut", TMessageType.Call, 1), CancellationToken.None);
            await p.WriteFieldBeginAsync(new TField("", TType.List, (short)(where == "multiPut" ? 1 : 50)), CancellationToken.None);
            await p.WriteListBeginAsync(new TList(element, count), CancellationToken.None);

            // Enough for as many empty structs as are allowed, and no more.
            await p.WriteBinaryAsync(new byte[1_024], CancellationToken.None);
        });

    private static async Task<byte[]> AnnouncingBytesAsync(ThriftEncoding encoding, int length) =>
        await ThriftPeer.FrameAsync(encoding, async p =>
        {
            await p.WriteMessageBeginAsync(new TMessage("get", TMessageType.Call, 1), CancellationToken.None);
            await p.WriteFieldBeginAsync(new TField("", TType.Struct, 1), CancellationToken.None);
            await p.WriteStructBeginAsync(new TStruct(""), CancellationToken.None);
            await p.WriteFieldBeginAsync(new TField("", TType.String, 1), CancellationToken.None);
            await p.Transport.WriteAsync(LengthOf(encoding, length), CancellationToken.None);
            await p.Transport.WriteAsync(B("some"), CancellationToken.None);
        });

    private static byte[] LengthOf(ThriftEncoding encoding, int length)
    {
        byte[] bytes = new byte[5];
        if (encoding == ThriftEncoding.Binary)
        {
            BinaryPrimitives.WriteInt32BigEndian(bytes, length);
            return bytes[..4];
        }

        return bytes[..Core.Varint.Write(bytes, (uint)length)];
    }

    private static byte[] B(string text) => Encoding.UTF8.GetBytes(text);

    private static string T(byte[]? bytes) => Encoding.UTF8.GetString(bytes ?? []);

    /// <summary>Reads frames as a connection does, on this thread.</summary>
    private sealed class ThriftServicesOf(IHengeNode node, ThriftEncoding encoding) : IDisposable
    {
        private readonly ThriftServices _services = new(node, encoding, metrics: null);
        private readonly FrameOutput _output = new(new TConfiguration());

        public async Task<string?> ReadAsync(byte[] frame)
        {
            using FrameInput input = new(_services.Configuration);
            input.Begin(new System.Buffers.ReadOnlySequence<byte>(frame.AsMemory(4)));
            BoundedProtocol protocol = new(_services.ProtocolOver(input), _services.Elements);
            try
            {
                TMessage message = await protocol.BeginAsync(CancellationToken.None);
                await (message.Name == "get"
                    ? new KVStore.InternalStructs.get_args().ReadAsync(protocol, CancellationToken.None)
                    : new KVStore.InternalStructs.multiPut_args().ReadAsync(protocol, CancellationToken.None));
                return null;
            }
            catch (Exception e)
            {
                return e.Message;
            }
        }

        public void Dispose() => _output.Dispose();
    }
}

using System.Buffers.Binary;
using System.Text;
using Google.Protobuf;
using Henge.Protocol.V1;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Grpc;

namespace Henge.Server.Tests.Hostile;

/// <summary>
/// Streams of HTTP/2 that are opened and reset at once, thousands of them on a connection (CVE-2023-44487). Memory is that of the whole
/// process, so these run alone.
/// </summary>
[CollectionDefinition(nameof(RapidResetTests), DisableParallelization = true)]
[Collection(nameof(RapidResetTests))]
public sealed class RapidResetTests
{
    private const int Rounds = 100, StreamsOfARound = 500;
    private const long MostGrowth = 64L * 1024 * 1024;

    [Fact]
    public async Task Streams_that_are_reset_at_once_neither_stop_the_node_nor_fill_it()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        GetRequest get = new() { Key = ByteString.CopyFromUtf8("k") };
        await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", get);
        long before = GC.GetTotalMemory(forceFullCollection: true);
        using RawConnection attacker = await RawConnection.OpenAsync(server.Server.EndPoint);
        await attacker.SayAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
        Task<string> heard = attacker.EndAsync();
        uint stream = 1;
        int rounds = 0;
        for (; rounds < Rounds && !heard.IsCompleted; rounds++)
        {
            try
            {
                await attacker.Stream.WriteAsync(OpenedAndReset(ref stream, StreamsOfARound)).AsTask().WaitAsync(RunningServer.Patience);
            }
            catch (IOException)
            {
                // It has had enough.
                break;
            }

            // Meanwhile somebody else is served.
            await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", get);
        }

        long growth = GC.GetTotalMemory(forceFullCollection: true) - before;
        Assert.True(growth < MostGrowth, $"{rounds * StreamsOfARound} streams left {growth} bytes");
        Assert.True(heard.IsCompleted || rounds == Rounds, "it was neither ended nor served");
        attacker.Dispose();
        await GrpcRulesTests.Until(() => server.Server.OpenConnections <= 1);
        await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", get);
    }

    [Fact]
    public async Task Streams_that_are_all_opened_at_once_and_then_reset_end_the_connection_or_are_refused()
    {
        await using RunningServer server = await RunningServer.StartAsync(options: static o => o with
        {
            Http = o.Http with { StreamsPerConnection = 100 },
        });
        server.Node.Intercept = operation => server.Node.Hold(operation);
        using RawConnection attacker = await RawConnection.OpenAsync(server.Server.EndPoint);
        await attacker.SayAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
        Task<string> heard = attacker.EndAsync();
        uint stream = 1;
        for (int rounds = 0; !heard.IsCompleted; rounds++)
        {
            Assert.True(rounds < Rounds, "as many streams as somebody likes are under way at once on one connection");
            try
            {
                // Whole calls, which the node has under way when they are reset.
                await attacker.Stream.WriteAsync(OpenedAndReset(ref stream, StreamsOfARound, withCall: true)).AsTask()
                    .WaitAsync(RunningServer.Patience);
            }
            catch (IOException)
            {
                break;
            }
        }

        await heard;
        server.Node.Intercept = null;
        server.Node.ReleaseHeld();
        await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", new GetRequest { Key = ByteString.CopyFromUtf8("k") });
        await GrpcRulesTests.Until(() => server.Server.OpenConnections <= 1);
    }

    private static byte[] OpenedAndReset(ref uint stream, int count, bool withCall = false)
    {
        using MemoryStream frames = new();
        byte[] headers = Headers();
        for (int i = 0; i < count; i++, stream += 2)
        {
            Frame(frames, 1, 4, stream, headers);
            if (withCall)
            {
                Frame(frames, 0, 1, stream, RunningServer.Frame(new GetRequest { Key = ByteString.CopyFromUtf8("k") }));
            }

            Frame(frames, 3, 0, stream, [0, 0, 0, 8]);
        }

        return frames.ToArray();
    }

    // HPACK (RFC 7541) without its table of what was sent: every name is spelled out or one of the static table.
    private static byte[] Headers()
    {
        using MemoryStream block = new();
        block.Write([0x83, 0x86]); // :method POST, :scheme http
        Literal(block, [0x04], "/henge.v1.KVStore/Get");
        Literal(block, [0x01], "localhost");
        Literal(block, [0x0F, 0x10], "application/grpc");
        Literal(block, [0, 2, (byte)'t', (byte)'e'], "trailers");
        return block.ToArray();
    }

    private static void Literal(MemoryStream block, ReadOnlySpan<byte> name, string value)
    {
        block.Write(name);
        block.WriteByte((byte)value.Length);
        block.Write(Encoding.ASCII.GetBytes(value));
    }

    private static void Frame(MemoryStream frames, byte type, byte flags, uint stream, ReadOnlySpan<byte> payload)
    {
        Span<byte> head = stackalloc byte[9];
        BinaryPrimitives.WriteUInt32BigEndian(head, (uint)payload.Length << 8);
        (head[3], head[4]) = (type, flags);
        BinaryPrimitives.WriteUInt32BigEndian(head[5..], stream);
        frames.Write(head);
        frames.Write(payload);
    }
}

using System.IO.Pipelines;
using Grpc.Core;
using Henge.Server.Calls;
using Henge.Server.Metrics;
using Henge.Server.Tests.Fakes;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;

namespace Henge.Server.Tests.Grpc;

public sealed class FramingTests
{
    [Fact]
    public async Task Random_bytes_in_random_pieces_are_judged_as_a_model_says()
    {
        const int Limit = 10;
        Random random = new(77);
        using ServerMetrics metrics = new();
        CallGate gate = new(
            new GrpcLimits { MessageBytes = Limit },
            new FakeNode(),
            metrics,
            new CallErrors(NullLogger.Instance, CancellationToken.None),
            CancellationToken.None);
        for (int round = 0; round < 3000; round++)
        {
            byte[] stream = RandomStream(random);
            DefaultHttpContext context = new();
            Pipe pipe = new();
            MessageGuard guard = new(pipe.Reader, new CallTerms(gate, context), context);
            Task written = WriteAsync(pipe.Writer, stream, random);

            // As the library reads: whole messages, and otherwise nothing.
            int position = 0;
            while (true)
            {
                (bool bad, bool more, int length) = Model(stream, position, Limit);
                try
                {
                    ReadResult read = await guard.ReadAsync(TestContext.Current.CancellationToken);
                    Assert.False(bad && read.IsCompleted, "What is bad was not noticed.");
                    if (!bad && !more && read.Buffer.Length >= 5 + length)
                    {
                        guard.AdvanceTo(read.Buffer.GetPosition(5 + length));
                        position += 5 + length;
                        continue;
                    }

                    guard.AdvanceTo(read.Buffer.Start, read.Buffer.End);
                    if (read.IsCompleted)
                    {
                        Assert.True(more);
                        Assert.Equal(stream.Length - position, read.Buffer.Length);
                        break;
                    }
                }
                catch (RpcException)
                {
                    Assert.True(bad);
                    break;
                }
            }

            await written;
            guard.GiveBack();
        }

        Assert.Equal(0, gate.Budget.TakenBytes);
    }

    private static (bool Bad, bool More, int Length) Model(byte[] stream, int position, int limit)
    {
        if (stream.Length - position < 5)
        {
            return (false, true, 0);
        }

        uint length =
            ((uint)stream[position + 1] << 24)
            | ((uint)stream[position + 2] << 16)
            | ((uint)stream[position + 3] << 8)
            | stream[position + 4];
        return stream[position] > 1 || length > limit ? (true, false, 0) : (false, stream.Length - position - 5 < length, (int)length);
    }

    private static byte[] RandomStream(Random random)
    {
        byte[] stream = new byte[random.Next(60)];
        random.NextBytes(stream);
        if (random.Next(3) > 0)
        {
            // Mostly small, mostly good prefixes.
            for (int at = 0; at + 5 <= stream.Length; at += 5 + stream[at + 4])
            {
                stream[at] = (byte)random.Next(random.Next(10) == 0 ? 3 : 2);
                stream[at + 1] = 0;
                stream[at + 2] = 0;
                stream[at + 3] = (byte)(random.Next(20) == 0 ? 1 : 0);
                stream[at + 4] = (byte)random.Next(12);
            }
        }

        return stream;
    }

    private static async Task WriteAsync(PipeWriter writer, byte[] bytes, Random random)
    {
        for (int at = 0; at < bytes.Length;)
        {
            int length = Math.Min(random.Next(1, 9), bytes.Length - at);
            await writer.WriteAsync(bytes.AsMemory(at, length));
            at += length;
        }

        await writer.CompleteAsync();
    }
}

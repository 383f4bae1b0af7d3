using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Node.Watch;

namespace Henge.Node.Tests.StateMachine;

public sealed class DecoderFuzzTests
{
    private static byte[] Mutate(Random random, byte[] bytes)
    {
        byte[] mutated = [.. bytes];
        for (int n = random.Next(1, 5); n > 0 && mutated.Length > 0; n--)
        {
            switch (random.Next(4))
            {
                case 0:
                    mutated[random.Next(mutated.Length)] = (byte)random.Next(256);
                    break;
                case 1:
                    mutated = mutated[..random.Next(mutated.Length + 1)];
                    break;
                case 2:
                    mutated[random.Next(mutated.Length)] = 0xFF;
                    break;
                default:
                    int at = random.Next(mutated.Length);
                    mutated = [.. mutated[..at], (byte)random.Next(256), .. mutated[at..]];
                    break;
            }
        }

        return mutated;
    }

    [Fact]
    public void Any_bytes_as_a_command_are_a_result_or_refused_and_never_more()
    {
        var h = new MachineHarness();
        var random = new Random(11);
        int understood = 0;
        for (int i = 0; i < 30_000; i++)
        {
            byte[] bytes = Mutate(
                random,
                CommandModel.Random(random, random.Next(2) == 0 ? new SessionStamp(3, (ulong)i + 1) : default).Bytes);
            if (CommandView.TryRead(bytes, out CommandView view))
            {
                understood++;
                CommandPieces pieces = view.Pieces();
                int count = 0;
                while (pieces.MoveNext())
                {
                    Assert.True(++count < 10_000);
                }

                CommandEncoder.ShardOf(bytes, new ShardMap(1));
            }
            else
            {
                Assert.Throws<HengeException>(() => CommandLimits.Check(bytes, new NodeLimits()));
            }

            CommandResult result = h.Apply(bytes);
            Assert.Equal(result.Problem != CommandProblem.None, result.Status == CommandStatus.Failed);
        }

        Assert.InRange(understood, 1000, 29_000);
        ulong hash = h.Machine.StateHash();
        h.Reopen();
        Assert.Equal(hash, h.Machine.StateHash());
    }

    [Fact]
    public void Any_bytes_as_an_entry_are_walked_or_refused()
    {
        var random = new Random(12);
        for (int i = 0; i < 20_000; i++)
        {
            var builder = new EntryBuilder();
            for (int n = random.Next(4); n > 0; n--)
            {
                builder.Add(CommandModel.Random(random).Bytes);
            }

            byte[] bytes = Mutate(random, builder.ToArray(new Core.Version((ulong)random.Next(1, 1000))));
            if (EntryReader.TryOpen(bytes, out EntryReader reader))
            {
                int count = 0;
                while (reader.MoveNext())
                {
                    count++;
                }

                Assert.True(reader.Damaged || count == reader.Count);
            }
        }
    }

    [Fact]
    public void Any_bytes_as_a_result_are_decoded_or_refused()
    {
        var random = new Random(13);
        for (int i = 0; i < 20_000; i++)
        {
            var result = new CommandResult(
                (CommandStatus)random.Next(3),
                new Core.Version((ulong)random.Next()),
                random.Next(2) == 0,
                random.NextInt64(long.MinValue, long.MaxValue) >> random.Next(64),
                (CommandProblem)random.Next(11));
            byte[] payload = new byte[random.Next(20)];
            random.NextBytes(payload);
            ReadOnlyMemory<byte> encoded = result.ToMemory(payload);
            Assert.True(
                CommandResult.TryRead(result.Version, encoded.Span, out CommandResult decoded, out ReadOnlySpan<byte> decodedPayload));
            Assert.Equal(result, decoded);
            Assert.True(payload.AsSpan().SequenceEqual(decodedPayload));
            var writer = new ArrayBufferWriter<byte>();
            result.Write(writer, payload);
            Assert.True(encoded.Span.SequenceEqual(writer.WrittenSpan));

            byte[] bytes = Mutate(random, encoded.ToArray());
            if (CommandResult.TryRead(result.Version, bytes, out _, out ReadOnlySpan<byte> rest))
            {
                EntryView.TryRead(rest, out _);
                var parts = new TxnResultReader(rest);
                while (parts.MoveNext())
                {
                    Assert.True(parts.Current.Status <= CommandStatus.Failed);
                }
            }
        }
    }

    [Fact]
    public void A_resume_token_is_read_back_and_anything_else_is_refused()
    {
        var random = new Random(14);
        for (int i = 0; i < 10_000; i++)
        {
            List<(ShardId, Core.Version)> positions =
            [
                .. Enumerable
                    .Range(0, random.Next(20))
                    .Select(s => (new ShardId((uint)((s * 3) + random.Next(3))), new Core.Version((ulong)random.NextInt64(0, 1L << 53)))),
            ];
            byte[] token = ResumeToken.Encode(positions);
            Assert.Equal(positions, ResumeToken.Decode(token, ShardMap.MaxShards));
            byte[] bytes = Mutate(random, token);
            if (!bytes.AsSpan().SequenceEqual(token))
            {
                Assert.Equal(
                    ErrorCode.InvalidArgument,
                    Assert.Throws<HengeException>(() => ResumeToken.Decode(bytes, ShardMap.MaxShards)).Code);
            }
        }
    }
}

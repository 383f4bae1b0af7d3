using System.Buffers;
using Henge.Core;

namespace Henge.Raft.Tests;

public sealed class CodecTests
{
    private static ulong Number(SplitMix64Random random) => random.NextUInt64() >> (int)(random.NextUInt64() % 64);

    private static RaftMessage Any(SplitMix64Random random)
    {
        NodeId from = new(1 + (Number(random) >> 1));
        NodeId to = new(1 + (Number(random) >> 1));
        Term term = new(Number(random));
        bool Coin() => random.NextUInt64() % 2 == 0;
        switch (random.NextUInt64() % 10)
        {
            case 0:
                return new RequestVote
                {
                    From = from,
                    To = to,
                    Term = term,
                    IsPreVote = Coin(),
                    IsTransfer = Coin(),
                    LastIndex = new(Number(random)),
                    LastTerm = new(Number(random)),
                };
            case 1:
                return new RequestVoteResponse { From = from, To = to, Term = term, IsPreVote = Coin(), IsGranted = Coin() };
            case 2:
                {
                    LogIndex prev = new(Number(random) >> 2);
                    ulong at = Number(random) % (term.Value + 1);
                    Term prevTerm = new(at);
                    Entry[] entries = new Entry[random.NextUInt64() % 5];
                    for (int i = 0; i < entries.Length; i++)
                    {
                        at += Number(random) % (term.Value - at + 1);
                        byte[] data = new byte[random.NextUInt64() % 50];
                        data.AsSpan().Fill((byte)random.NextUInt64());
                        EntryKind kind = (EntryKind)(random.NextUInt64() % 3);
                        if (kind == EntryKind.Membership)
                        {
                            data = new Membership([new(1), new(2 + (Number(random) / 2))]).Encode();
                        }

                        entries[i] = new Entry(new(prev.Value + 1 + (ulong)i), new(at), kind, data);
                    }

                    return new AppendEntries
                    {
                        From = from,
                        To = to,
                        Term = term,
                        PrevIndex = prev,
                        PrevTerm = prevTerm,
                        Commit = new(Number(random)),
                        Entries = entries
                    };
                }

            case 3:
                bool isRejected = Coin();
                return new AppendEntriesResponse
                {
                    From = from,
                    To = to,
                    Term = term,
                    IsRejected = isRejected,
                    Index = new(Number(random)),
                    HintIndex = isRejected ? new(Number(random)) : default,
                    HintTerm = isRejected ? new(Number(random)) : default,
                };
            case 4:
                return new Heartbeat
                {
                    From = from,
                    To = to,
                    Term = term,
                    Commit = new(Number(random)),
                    ReadSequence = Number(random),
                    SentTick = Number(random),
                    WantsResponse = Coin(),
                };
            case 5:
                return new HeartbeatResponse
                {
                    From = from,
                    To = to,
                    Term = term,
                    ReadSequence = Number(random),
                    SentTick = Number(random),
                };
            case 6:
                return new InstallSnapshot
                {
                    From = from,
                    To = to,
                    Term = term,
                    Index = new(Number(random)),
                    IndexTerm = new(Number(random)),
                    Membership = new([new(1), new(2 + Number(random) / 2)]),
                };
            case 7:
                return new ReadIndexRequest { From = from, To = to, Term = term, Number = Number(random) };
            case 8:
                return new ReadIndexResponse
                {
                    From = from,
                    To = to,
                    Term = term,
                    Number = Number(random),
                    IsFailed = Coin(),
                    Index = new(Number(random)),
                };
            default:
                return new TimeoutNow { From = from, To = to, Term = term };
        }
    }

    private static byte[] Encode(RaftMessage message)
    {
        ArrayBufferWriter<byte> buffer = new();
        int size = RaftMessageCodec.Encode(message, buffer);
        Assert.Equal(buffer.WrittenCount, size);
        Assert.True(size <= RaftMessageCodec.MaxEncodedSize(message));
        return buffer.WrittenSpan.ToArray();
    }

    private static void AssertSame(RaftMessage expected, RaftMessage actual)
    {
        Assert.Equal(expected.GetType(), actual.GetType());
        Assert.Equal(expected.ToString(), actual.ToString());
        if (expected is AppendEntries a && actual is AppendEntries b)
        {
            for (int i = 0; i < a.Entries.Length; i++)
            {
                Assert.True(a.Entries.Span[i].Data.Span.SequenceEqual(b.Entries.Span[i].Data.Span));
            }
        }

        if (expected is Heartbeat x && actual is Heartbeat y)
        {
            Assert.Equal((x.SentTick, x.ReadSequence), (y.SentTick, y.ReadSequence));
        }

        if (expected is ReadIndexResponse p && actual is ReadIndexResponse q)
        {
            Assert.Equal((p.Number, p.Index), (q.Number, q.Index));
        }
    }

    [Fact]
    public void Every_message_survives_its_encoding()
    {
        for (ulong seed = 1; seed <= 20_000; seed++)
        {
            RaftMessage message = Any(new SplitMix64Random(seed));
            Assert.True(RaftMessageCodec.TryDecode(Encode(message), out RaftMessage? back, out string? error), $"seed {seed}: {error}");
            AssertSame(message, back);
            Assert.Equal(Encode(message), Encode(back));
        }
    }

    [Fact]
    public void Every_message_that_is_cut_short_or_too_long_is_refused()
    {
        for (ulong seed = 1; seed <= 500; seed++)
        {
            byte[] bytes = Encode(Any(new SplitMix64Random(seed)));
            for (int cut = 0; cut < bytes.Length; cut++)
            {
                Assert.False(RaftMessageCodec.TryDecode(bytes.AsSpan(0, cut), out _, out string? error), $"seed {seed} cut {cut}");
                Assert.NotEmpty(error);
            }

            Assert.False(RaftMessageCodec.TryDecode(new byte[][] { bytes, [0] }.SelectMany(static b => b).ToArray(), out _, out _));
        }
    }

    [Fact]
    public void Damaged_and_random_bytes_never_throw_and_never_cost_memory_beyond_what_came_in()
    {
        SplitMix64Random random = new(7);
        for (int i = 0; i < 50_000; i++)
        {
            byte[] bytes;
            if (i % 2 == 0)
            {
                bytes = Encode(Any(new SplitMix64Random((ulong)i)));
                for (ulong flips = 1 + (random.NextUInt64() % 3); flips > 0; flips--)
                {
                    bytes[(int)(random.NextUInt64() % (ulong)bytes.Length)] = (byte)random.NextUInt64();
                }
            }
            else
            {
                bytes = new byte[random.NextUInt64() % 64];
                for (int b = 0; b < bytes.Length; b++)
                {
                    bytes[b] = (byte)random.NextUInt64();
                }

                if (bytes.Length > 0)
                {
                    bytes[0] = (byte)(1 + (bytes[0] % 10));
                }
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            bool ok = RaftMessageCodec.TryDecode(bytes, out RaftMessage? message, out _);
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 4_096);
            if (ok)
            {
                // What is accepted has one form.
                AssertSame(message!, Decode(Encode(message!)));
            }
        }
    }

    [Fact]
    public void A_message_from_or_to_node_0_is_refused()
    {
        TimeoutNow message = new() { From = NodeId.None, To = new(1), Term = new(1) };
        Assert.False(RaftMessageCodec.TryDecode(Encode(message), out _, out _));
    }

    [Fact]
    public void An_entry_with_a_membership_that_cannot_be_read_is_refused()
    {
        byte[] bytes = Encode(
            new AppendEntries
            {
                From = new(1),
                To = new(2),
                Term = new(1),
                Entries = new[] { new Entry(new(1), new(1), EntryKind.Membership, new byte[] { 9, 9 }) },
            });
        Assert.False(RaftMessageCodec.TryDecode(bytes, out _, out string? error));
        Assert.Contains("membership", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Entries_are_copied_together_so_that_what_was_received_may_be_used_again()
    {
        Entry[] entries =
        [
            new(new(1), new(1), EntryKind.Normal, "hello"u8.ToArray()),
            new(new(2), new(1), EntryKind.Normal, "world"u8.ToArray()),
        ];
        byte[] bytes = Encode(
            new AppendEntries
            {
                From = new(1),
                To = new(2),
                Term = new(1),
                Entries = entries,
            });
        AppendEntries append = Assert.IsType<AppendEntries>(Decode(bytes));
        Array.Fill(bytes, (byte)0xFF);
        Assert.True(append.Entries.Span[0].Data.Span.SequenceEqual("hello"u8));
        Assert.True(append.Entries.Span[1].Data.Span.SequenceEqual("world"u8));
        Assert.True(System.Runtime.InteropServices.MemoryMarshal.TryGetArray(append.Entries.Span[0].Data, out ArraySegment<byte> first));
        Assert.True(System.Runtime.InteropServices.MemoryMarshal.TryGetArray(append.Entries.Span[1].Data, out ArraySegment<byte> second));
        Assert.Same(first.Array, second.Array);
    }

    [Fact]
    public void A_heartbeat_is_tiny() =>
        Assert.InRange(
            Encode(
                new Heartbeat
                {
                    From = new(1),
                    To = new(2),
                    Term = new(5),
                    Commit = new(100_000),
                    ReadSequence = 0,
                    SentTick = 1_000,
                }
            ).Length,
            1,
            12);

    private static RaftMessage Decode(byte[] bytes)
    {
        Assert.True(RaftMessageCodec.TryDecode(bytes, out RaftMessage? message, out string? error), error);
        return message;
    }
}

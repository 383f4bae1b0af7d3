using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Henge.Cluster;
using Henge.Cluster.Steps;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Moves;
using Henge.Node.Peers;
using Henge.Node.Subscriptions;
using Henge.Node.Watch;
using Henge.Raft;

namespace Henge.Fuzz.Targets;

/// <summary>What nodes send each other.</summary>
internal static class PeerTargets
{
    private static readonly PeerSender Sender = new(1, new NodeId(2), 3);

    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("peer-frame", Frame, FrameSeeds),
        new("peer-settings", Settings,
            static () => [Encoding.UTF8.GetBytes("henge-hello 1\nname a\nestablished 1\n" + Founding().ToText())]),
        new("raft-message", Message, MessageSeeds),
        new("raft-membership", Members, static () => [Membership().Encode(), new Membership([new NodeId(1)]).Encode()]),
        new("watch-opening", Opening, OpeningSeeds),
        new("shard-report", Report, ReportSeeds),
        new("watch-events", Events, EventsSeeds),
        new("watch-resume-token", Token,
            static () => [ResumeToken.Encode([(new ShardId(0), new Core.Version(5)), (new ShardId(3), new Core.Version(1UL << 60))]),
            ResumeToken.Encode([])]),
    ];

    // As it is; and with the length and the checksum that belong to it, so that changes reach what stands behind them.
    private static void Frame(ReadOnlySpan<byte> input)
    {
        Walk(input);
        if (input.Length >= PeerFrame.HeaderBytes)
        {
            byte[] whole = input.ToArray();
            BinaryPrimitives.WriteUInt32LittleEndian(whole, PeerFrame.Magic);
            BinaryPrimitives.WriteUInt32LittleEndian(whole.AsSpan(4), (uint)(whole.Length - PeerFrame.PrefixBytes));
            BinaryPrimitives.WriteUInt32LittleEndian(whole.AsSpan(8), Crc32C.Compute(whole.AsSpan(PeerFrame.PrefixBytes)));
            FuzzCheck.That(Walk(whole), "a frame with the right length and checksum is refused");
        }
    }

    private static bool Walk(ReadOnlySpan<byte> frame)
    {
        if (frame.Length >= PeerFrame.PrefixBytes && !PeerFrame.TryReadLength(frame, PeerFrame.MaxHelloBytes, out _, out string? error))
        {
            FuzzCheck.That(error is { Length: > 0 }, "refused without a reason");
        }

        if (!PeerFrame.TryRead(frame, out PeerSender sender, out PeerReceiver to, out PeerRecordReader records))
        {
            return false;
        }

        var copy = new PeerFrameBuilder(sender, to.Node);
        while (records.MoveNext())
        {
            copy.BeginRecord(records.Kind, records.Shard);
            copy.Write(records.Body);
            copy.EndRecord();
        }

        if (!records.Damaged)
        {
            FuzzCheck.Same(frame, copy.Complete(to.Incarnation), "a frame");
        }

        return true;
    }

    private static IEnumerable<byte[]> FrameSeeds()
    {
        var frame = new PeerFrameBuilder(Sender, new NodeId(1));
        yield return frame.Complete(0).ToArray();
        frame.BeginRecord(PeerRecordKind.Raft, new ShardId(4));
        RaftMessageCodec.Encode(new TimeoutNow { From = new NodeId(2), To = new NodeId(1), Term = new Term(3) }, frame);
        frame.EndRecord();
        frame.BeginRecord(PeerRecordKind.Forward, new ShardId(0));
        frame.Write(new byte[30]);
        frame.EndRecord();
        yield return frame.Complete(7).ToArray();
    }

    private static FoundingSettings Founding() => new()
    {
        Shards = 4,
        ReplicationFactor = 3,
        Token = "none",
        PlacementRule = 1,
        FormatLevel = 2,
        Members = [new ClusterMember("a", "h:1"), new ClusterMember("b", "h:2")],
    };

    private static void Settings(ReadOnlySpan<byte> input)
    {
        string[] lines = Encoding.UTF8.GetString(input).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (FoundingSettings.Parse(lines) is { } settings)
        {
            FoundingSettings? again = FoundingSettings.Parse(settings.ToText().Split('\n', StringSplitOptions.RemoveEmptyEntries));
            FuzzCheck.That(again is not null && again.DifferencesTo(settings).Count == 0,
                "settings that are written are others when they are read");
            Founding().DifferencesTo(settings);
        }
    }

    private static void Report(ReadOnlySpan<byte> input)
    {
        SpanReader reader = new(input);
        while (ShardReport.TryRead(ref reader) is { } report)
        {
            var bytes = new byte[report.MaxBytes];
            SpanReader written = new(bytes.AsSpan(0, report.Write(bytes)));
            FuzzCheck.That(
                ShardReport.TryRead(ref written) is { } again && written.IsEmpty && again.Voters.SequenceEqual(report.Voters)
                    && again with { Voters = [], Learners = [], Move = null } == report with { Voters = [], Learners = [], Move = null },
                "a report that is written is another when it is read");
        }
    }

    private static IEnumerable<byte[]> ReportSeeds()
    {
        var report = new ShardReport
        {
            Shard = new ShardId(3),
            Term = new Term(7),
            Generation = 2,
            Configuration = new LogIndex(300),
            IsSettled = true,
            Voters = [new NodeId(1), new NodeId(2)],
            Learners = [new NodeId(4)],
            OperationsPerSecond = 500,
        };
        var move = new ShardMove
        {
            Shard = report.Shard,
            Step = ShardStepKind.Wait,
            Wait = StepWait.CatchingUp,
            WaitsFor = [new NodeId(4)],
            EntriesLeft = 10,
            BytesSent = 3_000,
        };
        ShardReport[] two = [report with { Move = move }, report with { Shard = new ShardId(4) }];
        foreach (ShardReport[] reports in (ShardReport[][])[[report], two])
        {
            var bytes = new byte[reports.Sum(static r => r.MaxBytes)];
            int length = 0;
            foreach (ShardReport each in reports)
            {
                length += each.Write(bytes.AsSpan(length));
            }

            yield return bytes[..length];
        }
    }

    private static void Opening(ReadOnlySpan<byte> input)
    {
        if (WatchOpening.TryRead(input, 8, 1024, out WatchOpening? opening))
        {
            var writer = new ArrayBufferWriter<byte>();
            opening.Write(writer);
            FuzzCheck.That(WatchOpening.TryRead(writer.WrittenSpan, 8, 1024, out WatchOpening? again)
                && again.Positions.SequenceEqual(opening.Positions) && again.Query.Upper.Span.SequenceEqual(opening.Query.Upper.Span)
                && again.Query.Asker == opening.Query.Asker,
                "an opening that is written is another when it is read");
        }
    }

    private static IEnumerable<byte[]> OpeningSeeds()
    {
        foreach (string upper in new[] { "", "b" })
        {
            var writer = new ArrayBufferWriter<byte>();
            var query = new WatchQuery { Lower = "a"u8.ToArray(), Upper = Encoding.ASCII.GetBytes(upper), Progress = true };
            query = upper.Length == 0 ? query : query with { Asker = new Asker("ann", 7, new Core.Version(9)) };
            ShardPosition[] positions = [new(new ShardId(1), default), new(new ShardId(7), new Core.Version(5))];
            new WatchOpening(9, query, positions, 4).Write(writer);
            yield return writer.WrittenSpan.ToArray();
        }
    }

    private static void Events(ReadOnlySpan<byte> input)
    {
        var reader = new EventsReader(input);
        int last = 0;
        while (reader.MoveNext())
        {
            bool isWithin = reader.Position > last && reader.Position <= input.Length;
            FuzzCheck.That(isWithin, "an event that takes no bytes, or more than there are");
            FuzzCheck.That(!reader.Version.IsZero && reader.Current.Version == reader.Version, "an event without a version");
            last = reader.Position;
        }

        FuzzCheck.That(reader.Failed || last == input.Length, "bytes behind the events");
    }

    private static IEnumerable<byte[]> EventsSeeds()
    {
        var writer = new EventsWriter(new ShardMap(8), new WatchOptions());
        writer.OnEvent(new WatchEventView { Reason = WatchReason.Put, Key = "a"u8, Value = "1"u8, Version = new Core.Version(5) });
        writer.OnEvent(new WatchEventView
        {
            Reason = WatchReason.Delete,
            Key = "a"u8,
            Version = new Core.Version(5),
            HasPrevious = true,
            PreviousValue = "0"u8,
            PreviousVersion = new Core.Version(4),
        });
        writer.OnEvent(new WatchEventView { Reason = WatchReason.Expired, Key = "b"u8, Version = new Core.Version(1UL << 52) });
        yield return writer.Written.ToArray();
        yield return [];
    }

    private static Membership Membership() => new([new NodeId(1), new NodeId(2), new NodeId(300)], [new NodeId(9)],
        [new NodeId(2), new NodeId(9)], [new NodeId(4)]);

    private static IEnumerable<byte[]> MessageSeeds()
    {
        NodeId from = new(1), to = new(2);
        Term term = new(7);
        RaftMessage[] messages =
        [
            new RequestVote { From = from, To = to, Term = term, LastIndex = new LogIndex(9), LastTerm = new Term(6), IsPreVote = true },
            new RequestVoteResponse { From = from, To = to, Term = term, IsGranted = true },
            new AppendEntries
            {
                From = from, To = to, Term = term, PrevIndex = new LogIndex(9), PrevTerm = new Term(6), Commit = new LogIndex(8),
                Entries = new Entry[]
                {
                    new(new LogIndex(10), new Term(6), EntryKind.Normal, new byte[] { 1, 2 }),
                        new(new LogIndex(11), new Term(7), EntryKind.Empty, default),
                        new(new LogIndex(12), new Term(7), EntryKind.Membership, Membership().Encode()),
                },
            },
            new AppendEntriesResponse { From = from, To = to, Term = term, Index = new LogIndex(9), IsRejected = true,
                HintIndex = new LogIndex(5), HintTerm = new Term(4) },
            new Heartbeat { From = from, To = to, Term = term, Commit = new LogIndex(8), ReadSequence = 3, SentTick = 100,
                WantsResponse = true },
            new HeartbeatResponse { From = from, To = to, Term = term, ReadSequence = 3, SentTick = 100 },
            new InstallSnapshot { From = from, To = to, Term = term, Index = new LogIndex(9), IndexTerm = new Term(6),
                Membership = Membership() },
            new ReadIndexRequest { From = from, To = to, Term = term, Number = 5 },
            new ReadIndexResponse { From = from, To = to, Term = term, Number = 5, Index = new LogIndex(9) },
            new TimeoutNow { From = from, To = to, Term = term },
        ];
        return messages.Select(Encoded);
    }

    private static byte[] Encoded(RaftMessage message)
    {
        byte[] bytes = new byte[RaftMessageCodec.MaxEncodedSize(message)];
        return bytes[..RaftMessageCodec.Encode(message, bytes)];
    }

    private static void Message(ReadOnlySpan<byte> input)
    {
        if (!RaftMessageCodec.TryDecode(input, out RaftMessage? message, out string? error))
        {
            FuzzCheck.That(message is null && error is { Length: > 0 }, "refused without a reason");
            return;
        }

        byte[] encoded = Encoded(message);
        FuzzCheck.That(encoded.Length <= input.Length, "the form that the encoder writes is longer");
        FuzzCheck.That(RaftMessageCodec.TryDecode(encoded, out RaftMessage? again, out _), "a message that was written is not read");
        FuzzCheck.Same(encoded, Encoded(again), "a message");
    }

    private static void Members(ReadOnlySpan<byte> input)
    {
        if (Raft.Membership.TryDecode(input, out Membership? membership))
        {
            byte[] encoded = membership.Encode();
            FuzzCheck.That(encoded.Length <= input.Length && Raft.Membership.TryDecode(encoded, out Membership? again)
                && again.Equals(membership), "a membership");
        }
    }

    private static void Token(ReadOnlySpan<byte> input)
    {
        Take(input);
        if (input.Length >= 6)
        {
            byte[] whole = input.ToArray();
            BinaryPrimitives.WriteUInt32LittleEndian(whole.AsSpan(whole.Length - 4), Crc32C.Compute(whole.AsSpan(0, whole.Length - 4)));
            Take(whole);
        }

        static void Take(ReadOnlySpan<byte> token)
        {
            try
            {
                List<(ShardId Shard, Core.Version Next)> positions = ResumeToken.Decode(token, 16);
                FuzzCheck.That(ResumeToken.Decode(ResumeToken.Encode(positions), 16).SequenceEqual(positions), "a token");
            }
            catch (HengeException e) when (e.Code == ErrorCode.InvalidArgument)
            {
                // As documented.
            }
        }
    }
}

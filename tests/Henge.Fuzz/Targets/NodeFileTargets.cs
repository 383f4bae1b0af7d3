using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Henge.Cluster;
using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Log;
using Henge.Node.Replication;
using Henge.Raft;
using Henge.Testing.Files;

namespace Henge.Fuzz.Targets;

/// <summary>A node's own files: its log's records, its identity, snapshots that were received.</summary>
internal static class NodeFileTargets
{
    private const string Directory = "/data";
    private static readonly ClusterMember[] Members = [new("a", "h:1"), new("b", "h:2")];
    private static readonly NodeOptions Options = new()
    {
        Name = "a",
        Address = "h:1",
        DataDirectory = Directory,
        Cluster = Members,
        Shards = 4,
        ReplicationFactor = 2
    };

    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("node-log-record", LogRecord, LogRecordSeeds),
        new("target-placement", Placement, PlacementSeeds),
        new("node-identity", Identity, IdentitySeeds) { AllocatedAlways = 512 * 1024 },
        new("snapshot-file", SnapshotFileOf, SnapshotFileSeeds) { AllocatedAlways = 512 * 1024 },
    ];

    private static IEnumerable<byte[]> PlacementSeeds() =>
    [
        TargetPlacement.From(3, 3, [[new(1), new(2), new(3)], [new(300), new(2), new(1)]]).Encode(),
        TargetPlacement.From(1, 1, [[new(1)]]).Encode(),
    ];

    private static void Placement(ReadOnlySpan<byte> input)
    {
        if (TargetPlacement.TryDecode(input, out TargetPlacement? placement))
        {
            FuzzCheck.That(
                TargetPlacement.TryDecode(placement.Encode(), out TargetPlacement? again) && again.HasSameReplicas(placement),
                "a placement that was read is written as it was");
        }
    }

    private static IEnumerable<byte[]> LogRecordSeeds()
    {
        var membership = new Membership([new NodeId(1), new NodeId(2)]);
        NodeLogRecord[] records =
        [
            new() { Kind = NodeLogRecordKind.Entry, Shard = new ShardId(2),
                Entry = new Entry(new LogIndex(9), new Term(3), EntryKind.Normal, default) },
            new() { Kind = NodeLogRecordKind.Moved, Shard = new ShardId(2),
                Entry = new Entry(new LogIndex(9), new Term(3), EntryKind.Membership, default) },
            new() { Kind = NodeLogRecordKind.HardState, Shard = new ShardId(2),
                HardState = new HardState(new Term(3), new NodeId(1), new LogIndex(8)) },
            new() { Kind = NodeLogRecordKind.Truncate, Shard = new ShardId(2), Index = new LogIndex(5) },
            new() { Kind = NodeLogRecordKind.Base, Shard = new ShardId(2), Reset = true,
                HardState = new HardState(new Term(3), new NodeId(1), new LogIndex(8)), Index = new LogIndex(5), Term = new Term(2),
                Membership = membership },
        ];
        foreach (NodeLogRecord record in records)
        {
            byte[] payload = new byte[record.HeaderBytes];
            record.WriteHeader(payload);
            yield return [(byte)record.Kind, .. payload];
        }
    }

    // The kind, then the payload.
    private static void LogRecord(ReadOnlySpan<byte> input)
    {
        if (input.IsEmpty)
        {
            return;
        }

        if (!NodeLogRecord.TryRead(input[0], input[1..].ToArray(), out NodeLogRecord record, out string? error))
        {
            FuzzCheck.That(error is { Length: > 0 }, "refused without a reason");
            return;
        }

        byte[] written = new byte[record.HeaderBytes];
        FuzzCheck.That(record.WriteHeader(written) == written.Length, "another size than was said");
        FuzzCheck.That(NodeLogRecord.TryRead(input[0], (byte[])[.. written, .. record.Entry.Data.Span], out NodeLogRecord again, out _),
            "a record that was written is not read");
        FuzzCheck.That(
            again.Entry.Index == record.Entry.Index && again.Entry.Term == record.Entry.Term && again.Entry.Kind == record.Entry.Kind
                && again.Shard == record.Shard && again.HardState == record.HardState
            && again.Index == record.Index && again.Term == record.Term && again.Reset == record.Reset
                && Equals(again.Membership, record.Membership),
            "a record");
        FuzzCheck.Same(record.Entry.Data.Span, again.Entry.Data.Span, "an entry");
    }

    private static IEnumerable<byte[]> IdentitySeeds()
    {
        var files = new SimulatedFileSystem();
        files.CreateDirectory(Directory);
        IdentityFile.Write(files, Directory,
            new NodeIdentity { Name = "a", Incarnation = 77, Founding = FoundingSettings.Of(Options, Members) });
        yield return WithoutCrc(files.ReadAllBytes(Directory + "/" + IdentityFile.Name));
        yield return Encoding.UTF8.GetBytes(
            $"henge-node 1\nname a\nincarnation 4d\ncluster {IdentityFile.OldClusterId(Members, "", 4)}\nshards 4\nmember a\nmember b\n");

        static byte[] WithoutCrc(byte[] bytes) => bytes[..bytes.AsSpan().LastIndexOf("crc "u8)];
    }

    // As it is, and with the checksum behind it that belongs to it.
    private static void Identity(ReadOnlySpan<byte> input)
    {
        Take(input);
        string text = Encoding.UTF8.GetString(input);
        Take(Encoding.UTF8.GetBytes(text + "crc " + Crc32C.Compute(Encoding.UTF8.GetBytes(text)).ToString("x8",
            CultureInfo.InvariantCulture) + "\n"));

        static void Take(ReadOnlySpan<byte> file)
        {
            var files = new SimulatedFileSystem();
            files.CreateDirectory(Directory);
            files.WriteAllBytes(Directory + "/" + IdentityFile.Name, file);
            IdentityFile.TryReadMembers(files, Directory);
            try
            {
                if (IdentityFile.TryRead(files, Options, Members, out NodeIdentity? identity))
                {
                    IdentityFile.Write(files, Directory, identity);
                    FuzzCheck.That(
                        IdentityFile.TryRead(files, Options, Members, out NodeIdentity? again) && again.Name == identity.Name
                            && again.Incarnation == identity.Incarnation
                        && again.Founding.DifferencesTo(identity.Founding).Count == 0,
                        "an identity");
                }
            }
            catch (HengeException e) when (e.Code is ErrorCode.Corruption or ErrorCode.UnsupportedFormat or ErrorCode.Misconfigured)
            {
                // As documented.
            }
        }
    }

    private static IEnumerable<byte[]> SnapshotFileSeeds()
    {
        var header = new InstallSnapshot
        {
            From = new NodeId(1),
            To = new NodeId(2),
            Term = new Term(3),
            Index = new LogIndex(9),
            IndexTerm = new Term(3),
            Membership = new Membership([new NodeId(1)])
        };
        byte[] encoded = new byte[RaftMessageCodec.MaxEncodedSize(header)];
        encoded = encoded[..RaftMessageCodec.Encode(header, encoded)];
        yield return [(byte)encoded.Length, .. encoded, 3, 1, 2, 3, 0];
        yield return [(byte)encoded.Length, .. encoded];
    }

    // Pieces, each behind its length in a byte: length and checksum of the format are put before them here. The first is the header.
    private static void SnapshotFileOf(ReadOnlySpan<byte> input)
    {
        Take(input);
        var file = new List<byte>([0x48, 0x53, 0x4E, 0x50, 1, 0, 0, 0]);
        Span<byte> head = stackalloc byte[8];
        while (!input.IsEmpty)
        {
            ReadOnlySpan<byte> piece = input.Slice(1, Math.Min(input[0], input.Length - 1));
            BinaryPrimitives.WriteInt32LittleEndian(head, piece.Length);
            BinaryPrimitives.WriteUInt32LittleEndian(head[4..], Crc32C.Compute(piece));
            file.AddRange(head);
            file.AddRange(piece);
            input = input[(1 + piece.Length)..];
        }

        Take([.. file]);

        static void Take(ReadOnlySpan<byte> file)
        {
            var files = new SimulatedFileSystem();
            files.CreateDirectory(Directory);
            files.WriteAllBytes(SnapshotFile.NameOf(Directory, new ShardId(1)), file);
            try
            {
                int bytes = 0;
                SnapshotFile.Read(files, Directory, new ShardId(1), chunk => bytes += chunk.Length);
                FuzzCheck.That(bytes <= file.Length, "more bytes than the file has");
            }
            catch (HengeException e) when (e.Code is ErrorCode.Corruption or ErrorCode.UnsupportedFormat)
            {
                // As documented.
            }
        }
    }
}

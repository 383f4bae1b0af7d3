using Henge.Cluster.Steps;
using Henge.Core;

namespace Henge.Node.Moves;

/// <summary>
/// What the leader of a shard tells the leader of the catalog: where the shard is, by which placement, how it gets there, and its load.
/// Immutable.
/// </summary>
internal sealed record ShardReport
{
    /// <summary>Most members that a report names in one list.</summary>
    public const int MaxMembers = 1_024;

    private const int FixedBytes = (10 * Varint.MaxBytes) + 3;

    /// <summary>Which shard.</summary>
    public required ShardId Shard { get; init; }

    /// <summary>The term in which it is led.</summary>
    public required Term Term { get; init; }

    /// <summary>The generation of the placement that its leader follows; 0 for the one that the cluster was made with.</summary>
    public ulong Generation { get; init; }

    /// <summary>Where its configuration stands in its log.</summary>
    public LogIndex Configuration { get; init; }

    /// <summary>The configuration is committed, not joint, and by an entry of the leader's own term or before one.</summary>
    public bool IsSettled { get; init; }

    /// <summary>Who votes.</summary>
    public required IReadOnlyList<NodeId> Voters { get; init; }

    /// <summary>Who learns.</summary>
    public required IReadOnlyList<NodeId> Learners { get; init; }

    /// <summary>Reads and writes that its leader takes in, for a second, over the last seconds.</summary>
    public long OperationsPerSecond { get; init; }

    /// <summary>How it gets to where it shall be; null when it is there.</summary>
    public ShardMove? Move { get; init; }

    /// <summary>Whether a member has to do with the shard.</summary>
    public bool Names(NodeId id) => Voters.Contains(id) || Learners.Contains(id);

    /// <summary>Whether another report of the same replica says the same of everything that does not change all the time.</summary>
    public bool SaysSame(ShardReport other) =>
        (Term, Generation, Configuration, IsSettled, OperationsPerSecond)
            == (other.Term, other.Generation, other.Configuration, other.IsSettled, other.OperationsPerSecond)
        && ReferenceEquals(Move, other.Move);

    /// <summary>The most bytes that <see cref="Write(Span{byte})"/> takes.</summary>
    public int MaxBytes => FixedBytes + (Varint.MaxBytes * (Voters.Count + Learners.Count + (Move?.WaitsFor.Count ?? 0)));

    /// <summary>Writes it (docs/formats.md, "Peer frames"); returns how many bytes.</summary>
    public int Write(Span<byte> to)
    {
        SpanWriter writer = new(to);
        writer.WriteVarint(Shard.Value);
        writer.WriteVarint(Term.Value);
        writer.WriteVarint(Generation);
        writer.WriteVarint(Configuration.Value);
        writer.WriteVarint((ulong)OperationsPerSecond);
        writer.WriteByte((byte)((IsSettled ? 1 : 0) | (Move is null ? 0 : 2)));
        Write(ref writer, Voters);
        Write(ref writer, Learners);
        if (Move is { } move)
        {
            writer.WriteByte((byte)move.Step);
            writer.WriteByte((byte)move.Wait);
            writer.WriteVarint(move.EntriesLeft);
            writer.WriteVarint((ulong)move.BytesLeft);
            writer.WriteVarint((ulong)move.BytesSent);
            writer.WriteVarint((ulong)move.StalledForMs);
            Write(ref writer, move.WaitsFor);
        }

        return writer.Written;
    }

    /// <summary>Reads the next one of several; null at the end, and at bytes that make no sense.</summary>
    public static ShardReport? TryRead(ref SpanReader reader)
    {
        if (reader.IsEmpty)
        {
            return null;
        }

        var shard = new ShardId((uint)reader.ReadVarint(ShardMap.MaxShards));
        var term = new Term(reader.ReadVarint());
        ulong generation = reader.ReadVarint();
        var configuration = new LogIndex(reader.ReadVarint());
        long operations = (long)reader.ReadVarint(long.MaxValue);
        byte flags = reader.ReadByte();
        NodeId[] voters = Read(ref reader), learners = Read(ref reader);
        ShardMove? move = null;
        if ((flags & 2) != 0)
        {
            move = new ShardMove
            {
                Shard = shard,
                Step = (ShardStepKind)reader.ReadByte(),
                Wait = (StepWait)reader.ReadByte(),
                EntriesLeft = reader.ReadVarint(),
                BytesLeft = (long)reader.ReadVarint(long.MaxValue),
                BytesSent = (long)reader.ReadVarint(long.MaxValue),
                StalledForMs = (long)reader.ReadVarint(long.MaxValue),
                WaitsFor = Read(ref reader),
            };
        }

        return reader.Failed
            ? null
            : new ShardReport
            {
                Shard = shard,
                Term = term,
                Generation = generation,
                Configuration = configuration,
                IsSettled = (flags & 1) != 0,
                Voters = voters,
                Learners = learners,
                OperationsPerSecond = operations,
                Move = move,
            };
    }

    private static void Write(ref SpanWriter writer, IReadOnlyList<NodeId> ids)
    {
        writer.WriteVarint((ulong)ids.Count);
        foreach (NodeId id in ids)
        {
            writer.WriteVarint(id.Value);
        }
    }

    private static NodeId[] Read(ref SpanReader reader)
    {
        // An id takes a byte at least, so what came in bounds what is allocated.
        ulong count = reader.ReadVarint(MaxMembers);
        if (reader.Failed || count > (ulong)reader.Rest.Length)
        {
            reader.Fail();
            return [];
        }

        var ids = new NodeId[count];
        for (int i = 0; i < ids.Length; i++)
        {
            ids[i] = new NodeId(reader.ReadVarint());
        }

        return ids;
    }
}

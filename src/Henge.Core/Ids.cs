using System.Globalization;

namespace Henge.Core;

/// <summary>
/// Identifies a node for the whole life of a cluster. Ids are given by the catalog and never used again, not even
/// after the node has left (Raft thesis, section 4.4). Zero means "no node".
/// </summary>
/// <param name="Value">The number; 0 is <see cref="None"/>.</param>
public readonly record struct NodeId(ulong Value) : IComparable<NodeId>
{
    /// <summary>No node: for example an unknown leader.</summary>
    public static NodeId None => default;

    /// <summary>True for <see cref="None"/>.</summary>
    public bool IsNone => Value == 0;

    /// <inheritdoc/>
    public int CompareTo(NodeId other) => Value.CompareTo(other.Value);

    /// <inheritdoc/>
    public override string ToString() => IsNone ? "-" : "n" + Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>One arc of the ring, and one Raft group. Shard 0 to N-1 hold keys; <see cref="Catalog"/> holds the cluster's truth.</summary>
/// <param name="Value">The number of the arc, from 0 clockwise.</param>
public readonly record struct ShardId(uint Value) : IComparable<ShardId>
{
    /// <summary>The Raft group that holds the cluster's own truth: nodes, placement, format level.</summary>
    public static ShardId Catalog => new(0x3FFF_FFFF);

    /// <summary>True for <see cref="Catalog"/>.</summary>
    public bool IsCatalog => this == Catalog;

    /// <inheritdoc/>
    public int CompareTo(ShardId other) => Value.CompareTo(other.Value);

    /// <inheritdoc/>
    public override string ToString() => IsCatalog ? "catalog" : "s" + Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>A Raft term (Raft paper, section 5.1): a logical clock that rises by one with each election.</summary>
/// <param name="Value">The number; 0 is before the first election.</param>
public readonly record struct Term(ulong Value) : IComparable<Term>
{
    /// <summary>Before the first election.</summary>
    public static Term Zero => default;

    /// <summary>The term after this one.</summary>
    public Term Next => new(Value + 1);

    /// <inheritdoc/>
    public int CompareTo(Term other) => Value.CompareTo(other.Value);

    /// <summary>Orders by number.</summary>
    public static bool operator <(Term left, Term right) => left.Value < right.Value;

    /// <summary>Orders by number.</summary>
    public static bool operator >(Term left, Term right) => left.Value > right.Value;

    /// <summary>Orders by number.</summary>
    public static bool operator <=(Term left, Term right) => left.Value <= right.Value;

    /// <summary>Orders by number.</summary>
    public static bool operator >=(Term left, Term right) => left.Value >= right.Value;

    /// <inheritdoc/>
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>A position in one group's Raft log (Raft paper, section 5.3). The first entry is at 1; 0 is before it.</summary>
/// <param name="Value">The number.</param>
public readonly record struct LogIndex(ulong Value) : IComparable<LogIndex>
{
    /// <summary>Before the first entry.</summary>
    public static LogIndex Zero => default;

    /// <summary>The position after this one.</summary>
    public LogIndex Next => new(Value + 1);

    /// <inheritdoc/>
    public int CompareTo(LogIndex other) => Value.CompareTo(other.Value);

    /// <summary>Orders by number.</summary>
    public static bool operator <(LogIndex left, LogIndex right) => left.Value < right.Value;

    /// <summary>Orders by number.</summary>
    public static bool operator >(LogIndex left, LogIndex right) => left.Value > right.Value;

    /// <summary>Orders by number.</summary>
    public static bool operator <=(LogIndex left, LogIndex right) => left.Value <= right.Value;

    /// <summary>Orders by number.</summary>
    public static bool operator >=(LogIndex left, LogIndex right) => left.Value >= right.Value;

    /// <inheritdoc/>
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

using System.Diagnostics.CodeAnalysis;
using System.Text;
using Henge.Core;

namespace Henge.Raft;

/// <summary>
/// Who belongs to a group: voters, while a change is under way the voters before it as well (joint consensus: Raft paper, section 6),
/// learners, who get the log but have no vote, and those who have left. Immutable; all lists are sorted and without duplicates.
/// </summary>
public sealed class Membership : IEquatable<Membership>
{
    /// <summary>The most members of any one kind.</summary>
    public const int MaxMembers = 1_024;

    private const byte FormatVersion = 1;

    private readonly NodeId[] _voters;
    private readonly NodeId[] _outgoing;
    private readonly NodeId[] _learners;
    private readonly NodeId[] _removed;

    /// <summary>
    /// Makes a membership. Lists may come in any order; a duplicate, an id of 0, or more than <see cref="MaxMembers"/> is an error.
    /// </summary>
    /// <exception cref="HengeException"><see cref="ErrorCode.InvalidArgument"/>.</exception>
    public Membership(
        IEnumerable<NodeId> voters,
        IEnumerable<NodeId>? learners = null,
        IEnumerable<NodeId>? outgoingVoters = null,
        IEnumerable<NodeId>? removed = null)
    {
        _voters = Sorted(voters, nameof(voters));
        _learners = Sorted(learners, nameof(learners));
        _outgoing = Sorted(outgoingVoters, nameof(outgoingVoters));
        _removed = Sorted(removed, nameof(removed));
        All = Union(Union(_voters, _outgoing), _learners);
        foreach (NodeId id in _learners)
        {
            if (Contains(_voters, id))
            {
                throw new HengeException(ErrorCode.InvalidArgument, $"Node {id} cannot be voter and learner at once.");
            }
        }
    }

    /// <summary>The voters, after the change that is under way, if any.</summary>
    public IReadOnlyList<NodeId> Voters => _voters;

    /// <summary>While membership is joint, the voters before the change; otherwise empty.</summary>
    public IReadOnlyList<NodeId> OutgoingVoters => _outgoing;

    /// <summary>Those who get the log and have no vote.</summary>
    public IReadOnlyList<NodeId> Learners => _learners;

    /// <summary>Those who were members once; their ids are not used again.</summary>
    public IReadOnlyList<NodeId> Removed => _removed;

    /// <summary>Everyone who gets the log: voters, outgoing voters, learners; sorted.</summary>
    public IReadOnlyList<NodeId> Members => All;

    /// <summary>True while two majorities are needed.</summary>
    public bool IsJoint => _outgoing.Length > 0;

    internal NodeId[] All { get; }

    internal ReadOnlySpan<NodeId> VotersSpan => _voters;

    internal ReadOnlySpan<NodeId> OutgoingSpan => _outgoing;

    /// <summary>True when the node's vote counts, in either majority.</summary>
    public bool IsVoter(NodeId id) => Contains(_voters, id) || Contains(_outgoing, id);

    /// <summary>True when the node gets the log and has no vote.</summary>
    public bool IsLearner(NodeId id) => !IsVoter(id) && Contains(_learners, id);

    /// <summary>True when the node gets the log.</summary>
    public bool IsMember(NodeId id) => Contains(All, id);

    internal bool IsRemoved(NodeId id) => Contains(_removed, id);

    /// <summary>True when the node votes after the change that is under way, if any.</summary>
    public bool IsIncomingVoter(NodeId id) => Contains(_voters, id);

    /// <summary>Whether this node alone is the majority.</summary>
    public bool IsSingleVoter(NodeId id) => _outgoing.Length == 0 && _voters.Length == 1 && _voters[0] == id;

    /// <summary>The membership after a joint one, with the new voters only.</summary>
    internal Membership LeaveJoint(bool keepRemoved)
    {
        if (!keepRemoved)
        {
            return new Membership(_voters, _learners);
        }

        List<NodeId> removed = [.. _removed];
        foreach (NodeId id in _outgoing)
        {
            if (!Contains(_voters, id) && !Contains(_learners, id) && !Contains(_removed, id))
            {
                removed.Add(id);
            }
        }

        return new Membership(_voters, _learners, null, removed);
    }

    /// <summary>The form for disk and wire: see docs/formats.md, "Raft".</summary>
    public byte[] Encode()
    {
        int size = 1;
        foreach (NodeId[] list in Lists())
        {
            size += Varint.Size((ulong)list.Length);
            foreach (NodeId id in list)
            {
                size += Varint.Size(id.Value);
            }
        }

        byte[] bytes = new byte[size];
        bytes[0] = FormatVersion;
        SpanWriter writer = new(bytes.AsSpan(1));
        foreach (NodeId[] list in Lists())
        {
            writer.WriteVarint((ulong)list.Length);
            foreach (NodeId id in list)
            {
                writer.WriteVarint(id.Value);
            }
        }

        return bytes;
    }

    /// <summary>Reads what <see cref="Encode"/> wrote; false when the bytes are anything else.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> source, [NotNullWhen(true)] out Membership? membership)
    {
        membership = null;
        if (source.Length < 1 || source[0] != FormatVersion)
        {
            return false;
        }

        SpanReader reader = new(source[1..]);
        if (!TryReadList(ref reader, out NodeId[]? voters) || !TryReadList(ref reader, out NodeId[]? outgoing)
            || !TryReadList(ref reader, out NodeId[]? learners) || !TryReadList(ref reader, out NodeId[]? removed) || !reader.IsEmpty)
        {
            return false;
        }

        foreach (NodeId id in learners)
        {
            if (Contains(voters, id))
            {
                return false;
            }
        }

        membership = new Membership(voters, learners, outgoing, removed);
        return true;
    }

    /// <inheritdoc/>
    public bool Equals(Membership? other) => other is not null
        && _voters.AsSpan().SequenceEqual(other._voters) && _outgoing.AsSpan().SequenceEqual(other._outgoing)
        && _learners.AsSpan().SequenceEqual(other._learners) && _removed.AsSpan().SequenceEqual(other._removed);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Membership);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        HashCode hash = default;
        foreach (NodeId[] list in Lists())
        {
            foreach (NodeId id in list)
            {
                hash.Add(id);
            }
        }

        return hash.ToHashCode();
    }

    /// <inheritdoc/>
    public override string ToString()
    {
        StringBuilder text = new();
        text.Append("voters=(").AppendJoin(' ', _voters).Append(')');
        if (_outgoing.Length > 0)
        {
            text.Append("&&(").AppendJoin(' ', _outgoing).Append(')');
        }

        if (_learners.Length > 0)
        {
            text.Append(" learners=(").AppendJoin(' ', _learners).Append(')');
        }

        if (_removed.Length > 0)
        {
            text.Append(" removed=(").AppendJoin(' ', _removed).Append(')');
        }

        return text.ToString();
    }

    private NodeId[][] Lists() => [_voters, _outgoing, _learners, _removed];

    private static bool TryReadList(ref SpanReader reader, [NotNullWhen(true)] out NodeId[]? list)
    {
        list = null;
        // Every id takes at least a byte, so this also bounds what is allocated by what came in.
        if (!reader.TryReadVarint(out ulong count) || count > MaxMembers || count > (ulong)reader.Rest.Length)
        {
            return false;
        }

        list = new NodeId[count];
        ulong last = 0;
        for (int i = 0; i < list.Length; i++)
        {
            if (!reader.TryReadVarint(out ulong id) || id <= last)
            {
                return false;
            }

            list[i] = new NodeId(id);
            last = id;
        }

        return true;
    }

    private static NodeId[] Sorted(IEnumerable<NodeId>? ids, string what)
    {
        NodeId[] sorted = ids is null ? [] : [.. ids];
        Array.Sort(sorted);
        for (int i = 0; i < sorted.Length; i++)
        {
            if (sorted[i].IsNone || (i > 0 && sorted[i] == sorted[i - 1]))
            {
                throw new HengeException(
                    ErrorCode.InvalidArgument,
                    $"Membership: {what} names {(sorted[i].IsNone ? "the id 0" : $"node {sorted[i]} twice")}.");
            }
        }

        if (sorted.Length > MaxMembers)
        {
            throw new HengeException(ErrorCode.TooLarge, $"Membership: {sorted.Length} {what} are more than the {MaxMembers} allowed.");
        }

        return sorted;
    }

    private static bool Contains(NodeId[] sorted, NodeId id) => Array.BinarySearch(sorted, id) >= 0;

    private static NodeId[] Union(NodeId[] a, NodeId[] b)
    {
        if (b.Length == 0)
        {
            return a;
        }

        List<NodeId> all = [.. a];
        foreach (NodeId id in b)
        {
            if (!Contains(a, id))
            {
                all.Add(id);
            }
        }

        all.Sort();
        return [.. all];
    }
}

using Henge.Core;

namespace Henge.Node.Context;

/// <summary>
/// When something was heard of the other members last. All ask each other for their clocks once a second, so whoever is there is heard.
/// Thread-safe, without locks.
/// </summary>
internal sealed class HeardMembers
{
    private readonly MemberMap<long> _atMs = new();

    /// <summary>A frame of a member has come.</summary>
    public void OnFrame(NodeId member, long nowMs) => Volatile.Write(ref _atMs[member], nowMs);

    /// <summary>
    /// For how long a member has been silent, by this node's monotonic clock; since the node's start when it has never been heard.
    /// </summary>
    public long SilentForMs(NodeId member, long nowMs) =>
        member.Value > MemberTable.MostIds ? nowMs : nowMs - Volatile.Read(ref _atMs[member]);
}

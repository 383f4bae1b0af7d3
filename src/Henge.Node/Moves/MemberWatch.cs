using Henge.Core;

namespace Henge.Node.Moves;

/// <summary>
/// For how long members have not been heard of, as this node sees it since it leads the catalog. A new leader begins to count anew: then a
/// member is replaced later, never sooner. Not thread-safe.
/// </summary>
internal sealed class MemberWatch
{
    private readonly Dictionary<NodeId, long> _silentSinceMs = [];

    /// <summary>Takes in what is seen now.</summary>
    public void See(NodeId member, bool isHeard, long nowMs)
    {
        if (isHeard)
        {
            _silentSinceMs.Remove(member);
        }
        else
        {
            _silentSinceMs.TryAdd(member, nowMs);
        }
    }

    /// <summary>Begins anew.</summary>
    public void Clear() => _silentSinceMs.Clear();

    /// <summary>For how long a member has been down; null when it is not, or for less than a time of grace.</summary>
    public long? DownForMs(NodeId member, long nowMs, long graceMs) =>
        _silentSinceMs.TryGetValue(member, out long since) && nowMs - since >= graceMs ? nowMs - since : null;
}

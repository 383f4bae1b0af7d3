using Henge.Core;

namespace Henge.Cluster.Planning;

/// <summary>The members of a plan by number, counted from 0, and what each may do. Those that are in neither list have left.</summary>
internal sealed class PlanMembers
{
    private readonly PlanMember[] _members;
    private readonly bool[] _holds;
    private readonly bool[] _takes;
    private readonly bool[] _departs;
    private readonly int[] _zones;
    private readonly Dictionary<NodeId, int> _indexes = [];

    public PlanMembers(PlanRequest request)
    {
        if (request.ReplicationFactor is < 1 or > TargetPlacement.MaxReplicas)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"A shard has 1 to {TargetPlacement.MaxReplicas} replicas, not {request.ReplicationFactor}.");
        }

        _members = [.. request.Members.OrderBy(static m => m.Id)];
        int count = _members.Length;
        _holds = new bool[count];
        _takes = new bool[count];
        _departs = new bool[count];
        _zones = new int[count];
        string[] zones = [.. _members.Select(static m => m.Zone).Distinct().Order(StringComparer.Ordinal)];
        Zones = zones;
        for (int i = 0; i < count; i++)
        {
            PlanMember member = _members[i];
            if (member.Id.IsNone || member.Name.Length == 0 || member.Weight is < 1 or > PlanMember.MaxWeight
                || !_indexes.TryAdd(member.Id, i))
            {
                throw new HengeException(
                    ErrorCode.InvalidArgument,
                    $"Member {member.Id} ('{member.Name}') is there twice, has no number or name, or its weight {member.Weight} is not "
                        + $"between 1 and {PlanMember.MaxWeight}.");
            }

            bool isLost = member.DownForMs >= request.ReplaceAfterMs;
            bool stays = member.State is not (MemberState.Leaving or MemberState.Left);
            _holds[i] = stays && !isLost;
            _departs[i] = member.State != MemberState.Left && !_holds[i];
            _takes[i] = member.State == MemberState.Up && member.DownForMs is null;
            _zones[i] = Array.BinarySearch(zones, member.Zone, StringComparer.Ordinal);
        }
    }

    public int Count => _members.Length;

    public IReadOnlyList<string> Zones { get; }

    public ReadOnlyMemory<int> ZoneOfEach => _zones;

    public PlanMember this[int index] => _members[index];

    /// <summary>The member of a number; -1 when there is none.</summary>
    public int IndexOf(NodeId id) => _indexes.GetValueOrDefault(id, -1);

    public NodeId IdOf(int index) => _members[index].Id;

    public int ZoneOf(int index) => _zones[index];

    /// <summary>It keeps what it has.</summary>
    public bool Holds(int index) => _holds[index];

    /// <summary>It can get more, and may lead.</summary>
    public bool Takes(int index) => _takes[index];

    /// <summary>It leaves, or is taken for lost: what it has is made elsewhere, and is kept where that cannot be.</summary>
    public bool Departs(int index) => _departs[index];

    public IEnumerable<int> Where(Func<int, bool> condition) => Enumerable.Range(0, Count).Where(condition);
}

using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Catalog;
using Henge.Raft;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Testing.Files;

namespace Henge.Simulation;

/// <summary>
/// Nodes that join the cluster while everything goes wrong, sometimes several at once through different members, crash in the middle of it,
/// and leave for ever. In the end all members must say the same of each other.
/// </summary>
internal sealed class SimMembers
{
    private readonly SimCluster _cluster;
    private readonly SimRandom _random;
    private readonly List<Joiner> _joiners = [];
    private readonly Dictionary<ulong, string> _given = [];
    private bool _peace;

    public SimMembers(SimCluster cluster)
    {
        _cluster = cluster;
        _random = new SimRandom(cluster.World.Seed ^ 0x10_1AED);
        // Other planted bugs are looked for without: they would need more seeds.
        bool isWanted =
            cluster.Canary is Canary.None or Canary.GiveNumbersTwice or Canary.HearMembersThatLeft or Canary.UpBeforeCaughtUp;
        if (!isWanted || cluster.IsElastic || cluster.Nodes.Count < 3 || !_random.PerMille(400))
        {
            return;
        }

        int count = 1 + _random.Next(3);
        for (int i = 0; i < count; i++)
        {
            _joiners.Add(new Joiner(this, cluster.AddJoiner(i)));
        }
    }

    /// <summary>Plans the joins.</summary>
    public void Start()
    {
        long at = _random.Between(500, 5_000);
        foreach (Joiner joiner in _joiners)
        {
            // Together with the one before, in half of the cases.
            at += _random.PerMille(500) ? 0 : _random.Between(0, 3_000);
            _cluster.World.AfterMs(at, joiner.Ask);
            _cluster.World.AfterMs(_random.Between(2_000, 12_000), joiner.Disturb);
        }

        foreach (SimNode node in _cluster.IsElastic ? [] : _cluster.Nodes.Concat(_joiners.Select(static j => j.Machine)))
        {
            node.MemberChanged = (id, state) => OnMemberChanged(node, id, state);
        }
    }

    /// <summary>From now on nothing goes wrong.</summary>
    public void EndFaults()
    {
        _peace = true;
        foreach (Joiner joiner in _joiners)
        {
            joiner.Machine.Resume();
            joiner.Machine.Clock.SetDrift(0);
            if (joiner.HasJoined && joiner.Machine.Node is null && !joiner.Machine.HasLeft)
            {
                joiner.Machine.Start();
            }
        }
    }

    /// <summary>True when all members agree on who they are, and the catalog has the replicas that it should have.</summary>
    public bool IsSettled()
    {
        if (_joiners.Exists(static j => !j.HasJoined || (j.Machine.Node is null && !j.Machine.HasLeft)))
        {
            return false;
        }

        SimNode[] members = [.. _cluster.Nodes, .. _joiners.Where(static j => !j.Machine.HasLeft).Select(static j => j.Machine)];
        string[] names = [.. members.Select(static m => m.Options.Name).Order(StringComparer.Ordinal)];
        foreach (SimNode member in members)
        {
            IReadOnlyList<NodeEntry> known = member.Node!.GetTopology().Nodes;
            if (
                !known.Select(static n => n.Name).Order(StringComparer.Ordinal).SequenceEqual(names)
                || known.Any(static n => n.State != MemberState.Up))
            {
                return false;
            }
        }

        RaftGroup? leader = members.Select(CatalogOf).FirstOrDefault(static g => g.Role == RaftRole.Leader);
        return leader is not null
            && !leader.Membership.IsJoint
            && leader.Membership.Voters.Count == CatalogVoters.WantedOf(members.Length)
            && leader.Membership.Members.SequenceEqual(members.Select(static m => m.Id).Order())
            && members.All(m => CatalogOf(m).AppliedIndex == leader.LastIndex);
    }

    /// <summary>What is checked when all is at rest: nobody hears who has left.</summary>
    public void Check()
    {
        foreach (Joiner left in _joiners.Where(static j => j.Machine.HasLeft && j.LastHello is not null))
        {
            foreach (SimNode node in _cluster.Nodes)
            {
                if (node.OnHello(left.LastHello!(node.Id)))
                {
                    throw new SimulationException($"node {node.Index} takes the hello of {left.Machine.Id}, which has left");
                }
            }
        }
    }

    /// <summary>What keeps it from being settled, for messages.</summary>
    public string Describe() =>
        string.Join(
            "; ",
            _joiners.Select(static j => $"{j.Machine.Options.Name} is {j.Machine.Id}, joined {j.HasJoined}, left {j.Machine.HasLeft}"))
            + " "
            + string.Join(
                "; ",
                _cluster.Nodes.Concat(_joiners.Select(static j => j.Machine)).Where(static n => n.Node is not null).Select(static n =>
                    $"node {n.Index} knows {string.Join(' ', n.Node!.GetTopology().Nodes.Select(static m => $"{m.Name}:{m.Id}:{m.State}"))} "
                    + $"catalog {CatalogOf(n).Role} {CatalogOf(n).Membership} {CatalogOf(n).AppliedIndex}/{CatalogOf(n).LastIndex}"));

    private static RaftGroup CatalogOf(SimNode node) => node.Node!.Parts.Hosted[ShardId.Catalog].Group;

    private void OnGiven(NodeId number, string name)
    {
        if (!_given.TryAdd(number.Value, name) && _given[number.Value] != name)
        {
            throw new SimulationException($"the number {number} was given to {_given[number.Value]} and to {name}");
        }
    }

    private void OnMemberChanged(SimNode teller, NodeId id, MemberState state)
    {
        if (state != MemberState.Up || (int)id.Value <= _cluster.Founders)
        {
            return;
        }

        Joiner? joiner = _joiners.Find(j => j.Machine.Id == id);
        if (
            joiner is null
            || (joiner.Machine.Node is not null && joiner.Machine != teller && CatalogOf(joiner.Machine).LastIndex.Value == 0))
        {
            throw new SimulationException($"node {teller.Index} takes {id} to be up, which has nothing of the catalog");
        }
    }

    private sealed class Joiner(SimMembers owner, SimNode machine)
    {
        private readonly SimJoin _join = new(owner._cluster, owner._random, machine);

        public SimNode Machine => machine;

        public bool HasJoined => _join.HasJoined;

        /// <summary>The hello that it said as long as it belonged.</summary>
        public Func<NodeId, byte[]>? LastHello { get; private set; }

        /// <summary>Asks any member; again and again, as answers can be lost with the member that was asked.</summary>
        public void Ask() => _join.Begin(OnJoined);

        /// <summary>Something happens to it.</summary>
        public void Disturb()
        {
            if (owner._peace || machine.HasLeft)
            {
                return;
            }

            owner._cluster.World.AfterMs(owner._random.Between(500, 5_000), Disturb);
            if (!HasJoined)
            {
                return;
            }

            switch (owner._random.Next(6))
            {
                case 0 or 1 when machine.Node is not null:
                    machine.Crash(owner._random.Pick<CrashMode>([CrashMode.KeepAll, CrashMode.LoseAllUnsynced, CrashMode.LoseRandomPart]));
                    machine.RestartLater();
                    break;
                case 2:
                    machine.Pause(owner._random.Between(100, 2_000));
                    break;
                case 3:
                    owner._cluster.Network.Isolate(machine.Index);
                    owner._cluster.World.AfterMs(owner._random.Between(100, 2_000), owner._cluster.Network.Heal);
                    break;
                case 4 or 5 when owner._random.PerMille(400):
                    Leave();
                    break;
                default:
                    break;
            }
        }

        private void OnJoined(NodeId number)
        {
            owner.OnGiven(number, machine.Options.Name);
            if (owner._peace || owner._random.PerMille(700))
            {
                machine.Start();
            }
            else
            {
                machine.RestartLater();
            }
        }

        private void Leave()
        {
            if (owner._cluster.AnyNode(owner._random) is not { Node: { } node } via)
            {
                return;
            }

            if (machine.CanTalk)
            {
                byte[][] hellos = [.. owner._cluster.Nodes.Select(n => machine.HelloTo(n.Id))];
                LastHello = id => hellos[(int)id.Value - 1];
            }

            // From now on it may learn at any time that it has left, and end.
            machine.MayLeave = true;
            via.Guard("leave", () => node.SetMemberState(
                machine.Id,
                [MemberState.Joining, MemberState.Up],
                MemberState.Left,
                node.MonotonicMs + 30_000,
                problem =>
                {
                    if (problem is null)
                    {
                        owner._cluster.Statistics.MembersLeft++;
                        owner._cluster.World.Note("left", machine.Index);
                        machine.HasLeft = true;
                    }
                }));
        }
    }
}

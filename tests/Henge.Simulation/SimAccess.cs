using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Simulation.Clients;
using Henge.Simulation.World;

namespace Henge.Simulation;

/// <summary>
/// Administrators who change one role at the same time, each on another node: what is acknowledged must be there in the end, on all nodes,
/// whoever else changed the role meanwhile and whoever crashed.
/// </summary>
internal sealed class SimAccess(SimCluster cluster, SimRandom random)
{
    private const string Role = "shared";
    private const int MostGrants = 60;
    private const int PatienceMs = 3_000;
    private readonly List<int> _acknowledged = [];
    private int _asked;
    private bool _peace;

    /// <summary>Begins.</summary>
    public void Start() => cluster.World.AfterMs(random.Between(500, 2_000), Turn);

    /// <summary>From now on nothing more is asked for.</summary>
    public void EndFaults() => _peace = true;

    /// <summary>What was acknowledged is there, and all nodes know the same.</summary>
    public void Check(SimWorld world, long limitMs)
    {
        if (!world.RunUntil(world.NowMs + limitMs, AreSame))
        {
            throw new SimulationException("Nodes do not agree on who may do what: "
                + string.Join("; ", cluster.Nodes.Select(static n => $"node {n.Index} at {n.Node?.Access.Revision}")));
        }

        AccessView view = cluster.Nodes[0].Node!.Access;
        foreach (int number in _acknowledged)
        {
            if (view.Role(Role)?.Grants.Any(g => g.Range == RangeOf(number)) != true)
            {
                throw new SimulationException($"Grant {number} was acknowledged, and the role does not have it: "
                    + string.Join(", ", view.Role(Role)?.Grants.Select(static g => g.Range.ToString()) ?? []));
            }
        }
    }

    private bool AreSame() => cluster.Nodes.All(static n => n.Node is not null)
        && cluster.Nodes.Select(static n => n.Node!.Access.Revision).Distinct().Count() == 1
        && cluster.Nodes.Select(static n => n.Node!.Access.Role(Role)?.ToText()).Distinct().Count() == 1;

    private void Turn()
    {
        if (_peace || cluster.IsOver || _asked >= MostGrants)
        {
            return;
        }

        for (int at = 1 + random.Next(3); at > 0; at--)
        {
            if (cluster.AnyNode(random) is { Node: not null, IsPaused: false } node)
            {
                node.Guard("access", () => Ask(node));
            }
        }

        cluster.World.AfterMs(random.Between(50, 600), Turn);
    }

    private void Ask(SimNode via)
    {
        int number = ++_asked;
        Node.HengeNode node = via.Node!;
        AccessChange change = node.Access.Role(Role) is null
            ? new AccessChange { Kind = AccessChangeKind.AddRole, Name = Role }
            : new AccessChange
            {
                Kind = AccessChangeKind.Grant,
                Name = Role,
                Permissions = Permissions.Read,
                Range = RangeOf(number),
            };
        cluster.Statistics.AccessChangesSaid++;
        node.ChangeAccess(change, node.MonotonicMs + PatienceMs, problem =>
        {
            cluster.World.Note("access", via.Index, (ulong)number, problem is null ? 0 : (ulong)problem.Code);
            if (problem is not null)
            {
                if (problem.Code is not (ErrorCode.Unavailable or ErrorCode.Stopping or ErrorCode.InvalidArgument))
                {
                    throw new SimulationException($"node {via.Index} answers {change} with {problem.Code}", problem);
                }
            }
            else if (change.Kind == AccessChangeKind.Grant)
            {
                cluster.Statistics.AccessChangesDone++;
                _acknowledged.Add(number);
            }
        });
    }

    private static KeyRange RangeOf(int number) => KeyRange.Key(Encoding.ASCII.GetBytes($"key{number}"));
}

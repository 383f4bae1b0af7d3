using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Simulation.Clients;
using Henge.Simulation.World;

namespace Henge.Simulation;

/// <summary>
/// A user whose right to read a key is given and taken away, and who asks the node that knows of it last. As long as only that node does
/// not know yet that the right was taken away, no other node may do what it lets through (docs/decisions/0212).
/// </summary>
internal sealed class SimCheckedReads(SimCluster cluster, SimRandom random)
{
    private const string Role = "gate";
    private const string User = "visitor";
    private const int PatienceMs = 3_000;
    private static readonly byte[] Key = Encoding.ASCII.GetBytes("behind-the-gate");
    private static readonly AccessChange[] Steps =
    [
        new() { Kind = AccessChangeKind.AddUser, Name = AccessNames.Root, PasswordHash = "none" },
        new() { Kind = AccessChangeKind.AddRole, Name = Role },
        new() { Kind = AccessChangeKind.AddUser, Name = User },
        new() { Kind = AccessChangeKind.GrantRole, Name = User, Role = Role },
        new() { Kind = AccessChangeKind.Enable },
    ];

    private int _step;
    private int _changes;
    private bool _isChanging;
    private bool _peace;

    /// <summary>Begins.</summary>
    public void Start()
    {
        cluster.World.AfterMs(random.Between(500, 2_000), ChangeTurn);
        cluster.World.AfterMs(random.Between(500, 2_000), ReadTurn);
    }

    /// <summary>From now on nothing more is asked for.</summary>
    public void EndFaults() => _peace = true;

    private void ChangeTurn()
    {
        if (_peace || cluster.IsOver)
        {
            return;
        }

        if (!_isChanging && cluster.AnyNode(random) is { Node: not null, IsPaused: false } node)
        {
            node.Guard("access", () => Change(node));
        }

        cluster.World.AfterMs(_step < Steps.Length ? random.Between(20, 200) : random.Between(200, 1_500), ChangeTurn);
    }

    private void Change(SimNode via)
    {
        AccessChange change = _step < Steps.Length
            ? Steps[_step]
            : new AccessChange
            {
                Kind = (_step - Steps.Length) % 2 == 0 ? AccessChangeKind.Grant : AccessChangeKind.Revoke,
                Name = Role,
                Permissions = Permissions.Read,
                Range = KeyRange.Key(Key),
            };
        _isChanging = true;
        _changes++;
        via.Node!.ChangeAccess(change, via.Node.MonotonicMs + PatienceMs, problem =>
        {
            _isChanging = false;
            _step += problem is null ? 1 : 0;
        });

        // A node that crashes with it never answers.
        int number = _changes;
        cluster.World.AfterMs(2 * PatienceMs, () => _isChanging &= _changes != number);
    }

    private void ReadTurn()
    {
        if (_peace || cluster.IsOver)
        {
            return;
        }

        // Whoever lets it through while all others would not.
        foreach (SimNode node in cluster.Nodes)
        {
            if (node is { Node: { } running, IsPaused: false } && Lets(running.Access) && OthersRefuse(node, running.Access.Revision))
            {
                node.Guard("checked read", () => Read(node, running));
                break;
            }
        }

        cluster.World.AfterMs(random.Between(1, 20), ReadTurn);
    }

    private void Read(SimNode via, Node.HengeNode node)
    {
        int changes = _isChanging ? -1 : _changes;
        Core.Version revision = node.Access.Revision;
        cluster.Statistics.StaleChecks++;
        node.Submit(new CheckedRead(op =>
        {
            if (op is { Error: ErrorCode.None, Remote: not null } && changes == _changes && OthersRefuse(via, revision))
            {
                throw new SimulationException(
                    $"node {via.Index} let a read through by rights of {revision} that were taken away, and another node, all of "
                        + "which knew of that, has done it");
            }
        })
        {
            Kind = OperationKind.Get,
            Key = Key,
            Consistency = random.Next(2) == 0 ? ReadConsistency.Linearizable : ReadConsistency.Stale,
            DeadlineMs = node.MonotonicMs + PatienceMs,
            Asker = new Asker(User, null, revision),
        });
    }

    private bool OthersRefuse(SimNode but, Core.Version revision) =>
        cluster.Nodes.All(n => n == but || (n.Node is { } node && node.Access.Revision > revision && Refuses(node.Access)));

    private static bool Lets(AccessView view) => view is { IsKnown: true, IsEnabled: true } && view.Allows(User, Permissions.Read, Key);

    private static bool Refuses(AccessView view) => view is { IsKnown: true, IsEnabled: true } && !view.Allows(User, Permissions.Read, Key);

    private sealed class CheckedRead(Action<CheckedRead> ended) : Operation
    {
        protected override void OnCompleted() => ended(this);
    }
}

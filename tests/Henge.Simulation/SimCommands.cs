using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Catalog;
using Henge.Simulation.Clients;
using Henge.Simulation.World;

namespace Henge.Simulation;

/// <summary>
/// Says commands of operators to nodes, by the code that <c>henge cluster</c> reaches: to any node, whoever leads the catalog; at times two
/// at once, each to another node; at times the answer is lost, and the command is said again elsewhere. What is refused is refused for a
/// reason that an operator can do something about, and what is answered stands in the catalog of the node that answers.
/// </summary>
internal sealed class SimCommands(SimCluster cluster, SimRandom random)
{
    private const int ProbeMs = 2_000;
    private const int PatienceMs = 4_000;
    private readonly Dictionary<string, int> _removals = [];
    private bool _peace;

    /// <summary>From now on answers come, and nodes are asked at once.</summary>
    public void EndFaults() => _peace = true;

    /// <summary>A removal of a member may be under way, or have been done and not been taken back.</summary>
    public bool MayBeLeaving(string name) => _removals.ContainsKey(name);

    /// <summary>A member is to go.</summary>
    public void OnRemoving(string name) => _removals[name] = _removals.GetValueOrDefault(name) + 1;

    /// <summary>The name is another member's from now on.</summary>
    public void Forget(string name) => _removals.Remove(name);

    /// <summary>Says a command to a node that runs.</summary>
    /// <param name="change">Which.</param>
    /// <param name="isNonsense">It names something that there is not: it must not be done.</param>
    /// <param name="answered">Called with the answer, when there is one that says that it is done.</param>
    public void Say(ClusterChange change, bool isNonsense = false, Action<ClusterChangeAnswer>? answered = null)
    {
        if (cluster.AnyNode(random) is not { Node: not null, IsPaused: false } via)
        {
            return;
        }

        // The node that is asked calls all the others first, and what it found may be old by the time it goes by it.
        ClusterChange asked = change with { Unreachable = SilentFor(via) };
        int epoch = via.Epoch;
        long probed = _peace ? 0 : random.Between(0, ProbeMs);
        bool isRemoval = change is { Kind: ClusterChangeKind.Remove, IsDryRun: false };
        if (isRemoval)
        {
            OnRemoving(change.Node);
        }

        if (!_peace && random.PerMille(250))
        {
            // Whoever asked does not hear the answer, and asks another node.
            cluster.World.AfterMs(random.Between(10, 3_000), () => Repeat(change, isNonsense));
            answered = null;
        }

        cluster.Statistics.CommandsSaid++;
        cluster.World.AfterMs(probed, () =>
        {
            if (via.Epoch == epoch && via is { Node: not null, IsPaused: false })
            {
                via.Guard("command", () => Ask(via, asked, isNonsense, answered));
            }
        });
    }

    private void Repeat(ClusterChange change, bool isNonsense)
    {
        if (!_peace)
        {
            cluster.Statistics.CommandsRepeated++;
            Say(change, isNonsense);
        }
    }

    private void Ask(SimNode via, ClusterChange change, bool isNonsense, Action<ClusterChangeAnswer>? answered)
    {
        cluster.World.Say("command", () => $"node {via.Index}: {change.Kind} {change.Node}{change.Setting} {change.Value}{change.Successor}"
            + $"{(change.IsDryRun ? " dry" : "")} silent {string.Join(' ', change.Unreachable)}");
        Node.HengeNode node = via.Node!;
        node.Change(change, node.MonotonicMs + PatienceMs, (answer, problem) =>
        {
            cluster.World.Note("answer", via.Index, (ulong)change.Kind, problem is null ? 0 : (ulong)problem.Code + 1);
            cluster.World.Say("answer", () =>
                $"node {via.Index}: {change.Kind} {change.Node}: {problem?.Message ?? answer!.State + answer.Refusal}");
            if (problem is not null)
            {
                OnRefused(via, change, problem);
                return;
            }

            Check(node, via, change, answer!, isNonsense);
            if (!change.IsDryRun)
            {
                cluster.Statistics.CommandsDone++;
                if (change.Kind == ClusterChangeKind.Cancel && answer!.State != MemberState.Left)
                {
                    // All removals that had been judged before fail by now: the catalog has changed since.
                    _removals.Remove(change.Node);
                }

                answered?.Invoke(answer!);
            }
        });
    }

    private void OnRefused(SimNode via, ClusterChange change, HengeException problem)
    {
        if (problem.Code == ErrorCode.InvalidArgument)
        {
            cluster.Statistics.CommandsRefused++;
            if (change is { Kind: ClusterChangeKind.Remove, IsDryRun: false } && _removals.GetValueOrDefault(change.Node) == 1)
            {
                _removals.Remove(change.Node);
            }
        }
        else if (problem.Code is not (ErrorCode.Unavailable or ErrorCode.Stopping))
        {
            throw new SimulationException($"node {via.Index} answers {change} with {problem.Code}", problem);
        }
    }

    private static void Check(Node.HengeNode node, SimNode via, ClusterChange change, ClusterChangeAnswer answer, bool isNonsense)
    {
        if (isNonsense && answer.Refusal.Length == 0)
        {
            throw new SimulationException($"node {via.Index} does what cannot be: {change}");
        }

        if (answer.IsDone == change.IsDryRun || (answer.Refusal.Length > 0 && !change.IsDryRun))
        {
            throw new SimulationException($"node {via.Index} says that {change} is {(answer.IsDone ? "" : "not ")}done: {answer.Refusal}");
        }

        if (change.IsDryRun || answer.State is not { } state)
        {
            return;
        }

        bool isWanted = change.Kind switch
        {
            ClusterChangeKind.Remove => state is MemberState.Leaving or MemberState.Left,
            ClusterChangeKind.Cancel => state is not (MemberState.Leaving or MemberState.Left),
            ClusterChangeKind.Drain => state == MemberState.Draining,
            ClusterChangeKind.Undrain => state == MemberState.Up,
            _ => false,
        };
        MemberRecord? stands = node.Parts.Members.View?.Members.LastOrDefault(m => m.Name == change.Node && m.State == state);
        if (!isWanted || stands is null)
        {
            throw new SimulationException($"node {via.Index} answers {change} with {state}, which is not so in its catalog");
        }
    }

    // Whoever is down, stands still or is cut off does not answer when it is called.
    private List<NodeId> SilentFor(SimNode via) =>
    [
        .. cluster.Nodes
            .Where(n => n != via && (n.Node is null || n.IsPaused || cluster.Network.IsCutBetween(via.Index, n.Index)))
            .Select(static n => n.Id),
    ];
}

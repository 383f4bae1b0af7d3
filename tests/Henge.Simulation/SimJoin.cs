using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Simulation.Clients;
using Henge.Simulation.World;

namespace Henge.Simulation;

/// <summary>A machine that joins the cluster as a node does that is started with <c>--join</c>, as often as it takes.</summary>
internal sealed class SimJoin(SimCluster cluster, SimRandom random, SimNode machine)
{
    private const int TryAgainMs = 3_000;
    private ulong _asked;
    private Action<NodeId>? _joined;

    /// <summary>Which machine.</summary>
    public SimNode Machine => machine;

    /// <summary>It has been given a number.</summary>
    public bool HasJoined { get; private set; }

    /// <summary>Its name or its address may be another member's still: then it is refused until that one has left.</summary>
    public bool MayBeTaken { get; init; }

    /// <summary>Asks any member; again and again, as answers can be lost with the member that was asked.</summary>
    /// <param name="joined">Called when its directory is a member's. The machine is still to be started.</param>
    public void Begin(Action<NodeId> joined)
    {
        _joined = joined;
        Ask();
    }

    private void Ask()
    {
        if (HasJoined || machine.HasLeft)
        {
            return;
        }

        cluster.World.AfterMs(TryAgainMs, Ask);
        if (cluster.AnyNode(random) is not { Node: { } node } via)
        {
            return;
        }

        JoinRequest request;
        using (NodeJoining joining = Open())
        {
            request = joining.Request;
        }

        ulong asked = ++_asked;
        cluster.World.Note("join", via.Index, (ulong)machine.Index);
        via.Guard("join", () => node.Join(request, node.MonotonicMs + TryAgainMs, (answer, problem) =>
        {
            if (answer is not null && asked == _asked)
            {
                cluster.World.After(0, () => OnAnswer(answer));
            }
            else if (MayBeTaken && problem is { Code: ErrorCode.Misconfigured })
            {
                cluster.Statistics.JoinsRefused++;
                cluster.World.Say("join", () => $"refused: {problem.Message}");
            }
            else if (problem is { Code: not (ErrorCode.Unavailable or ErrorCode.Stopping) })
            {
                throw new SimulationException($"{machine.Options.Name} cannot join: {problem.Message}", problem);
            }
        }));
    }

    private NodeJoining Open() => NodeJoining.Begin(machine.Files, machine.Options, random.NextUInt64);

    private void OnAnswer(JoinAnswer answer)
    {
        if (HasJoined || machine.HasLeft)
        {
            return;
        }

        cluster.Statistics.Joins++;
        using (NodeJoining joining = Open())
        {
            joining.Complete(answer);
        }

        HasJoined = true;
        machine.Id = answer.Id;
        cluster.World.Note("joined", machine.Index, answer.Id.Value);
        _joined!(answer.Id);
    }
}

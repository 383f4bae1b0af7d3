using Henge.Core;
using Henge.Node.Api;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Testing.Files;

namespace Henge.Simulation.Drills;

/// <summary>
/// What <c>henge cluster recover</c> does, said by an operator again and again while nodes that are left crash: plan, carry out phase by
/// phase, go on with a plan that was begun, or make a new one.
/// </summary>
internal sealed class RecoveryOperator(SimCluster cluster, SimRandom random, List<SimNode> left, List<SimNode> lost)
{
    private const long AnswerMs = 4_000;
    private const int MostAttempts = 40;
    private const int MostDisturbed = 8;
    private readonly Dictionary<int, Core.Version> _kept = [];
    private readonly HashSet<int> _recovered = [];
    private readonly HashSet<int> _unavailable = [];
    private int _attempts;

    /// <summary>Called before each phase.</summary>
    public Action BetweenPhases { get; init; } = static () => { };

    /// <summary>Everything of a shard up to there is kept, by the plan: for one that had a majority all the time, everything.</summary>
    public Core.Version KeptOf(int shard) => _kept.GetValueOrDefault(shard, Core.Version.Max);

    /// <summary>Whether a shard goes on, or is to, without those who are lost; the catalog is counted last.</summary>
    public bool GoesOnWithout(int shard) => _recovered.Contains(shard);

    /// <summary>Whether a shard stays unavailable: nothing is left of it, and who is left cannot begin it anew.</summary>
    public bool IsUnavailable(int shard) => _unavailable.Contains(shard);

    /// <summary>Recovers; false when there is nothing to recover.</summary>
    public bool Run()
    {
        string planId = "";
        for (_attempts = 0; _attempts < MostAttempts; _attempts++)
        {
            cluster.World.RunUntil(cluster.World.NowMs + random.Between(1, 500));
            if (left.Exists(static n => n.Node is null || n.IsPaused) || Reports() is not { } reports)
            {
                continue;
            }

            SimNode asked = random.Pick(left);
            RecoveryOffer? offer = null;
            if (!asked.Guard("offer", () =>
            {
                offer = planId.Length == 0 ? null : asked.Node!.Recovery.Resume(reports, planId);
                if (offer is null)
                {
                    offer = asked.Node!.Recovery.Offer(reports, [.. Enumerable.Range(0, cluster.Shards)]);
                    Note(offer);
                }
            }))
            {
                continue;
            }

            if (offer!.IsRefused)
            {
                if (planId.Length == 0)
                {
                    return false;
                }

                // All of it was done, and the last answer was lost.
                return true;
            }

            planId = offer.PlanId;
            cluster.World.Say("recover", () => offer.Plan);
            if (Carry(offer, asked))
            {
                return true;
            }

            cluster.Statistics.RecoveriesInterrupted++;
        }

        throw new SimulationException("The cluster cannot be recovered: " + cluster.Describe());
    }

    // The plan that was shown last is what counts; what a plan before it has done has a majority by now.
    private void Note(RecoveryOffer offer)
    {
        foreach (RecoveryRow row in offer.IsRefused ? [] : offer.Shards.Where(static r => r.Kind != "Serving"))
        {
            int shard = row.Shard.IsCatalog ? cluster.Shards : (int)row.Shard.Value;
            _recovered.Add(shard);
            if (row.Action == "stays as it is" ? _unavailable.Add(shard) : _unavailable.Remove(shard))
            {
                cluster.World.Note("unavailable", -1, (ulong)shard);
            }

            if (row.Kind is "MayLose" or "Gone" || row.CertainlyLost > 0)
            {
                _kept[shard] = row.Kind == "Gone" ? default : row.CertainVersion;
            }
        }
    }

    private bool Carry(RecoveryOffer offer, SimNode asked)
    {
        foreach (RecoveryPhase phase in Enum.GetValues<RecoveryPhase>())
        {
            if (phase == RecoveryPhase.Shards && !MarkLost(offer.Plan, asked))
            {
                return false;
            }

            int missing = left.Count;
            bool failed = false;
            foreach (SimNode node in left)
            {
                if (node.Node is null || !node.Guard("adopt", () => node.Node.Recovery.Adopt(
                    offer.Plan,
                    phase,
                    node.Node.MonotonicMs + AnswerMs,
                    problem =>
                    {
                        missing--;
                        failed |= problem is not null;
                        cluster.World.Say("adopted", () => $"node {node.Index} {phase}: {problem?.Message}");
                    })))
                {
                    return false;
                }
            }

            if (random.PerMille(150))
            {
                CrashOneSoon();
            }

            if (!cluster.World.RunUntil(cluster.World.NowMs + AnswerMs + 500, () => failed || missing == 0) || failed)
            {
                return false;
            }

            // The moment after it was acknowledged: what was said to be done must have been durable.
            if (random.PerMille(250))
            {
                Crash(random.Pick(left));
            }

            BetweenPhases();
        }

        return true;
    }

    // The catalog goes on by now, and says for ever that those who are lost have left.
    private bool MarkLost(string plan, SimNode asked)
    {
        bool ended = false, done = false;
        if (asked.Node is null || !asked.Guard("mark-lost", () => asked.Node.Recovery.MarkLost(
            plan,
            asked.Node.MonotonicMs + (2 * AnswerMs),
            problem =>
            {
                (ended, done) = (true, problem is null);
                cluster.World.Say("marked", () => $"lost, by node {asked.Index}: {problem?.Message}");
            })))
        {
            return false;
        }

        if (!cluster.World.RunUntil(cluster.World.NowMs + (2 * AnswerMs) + 500, () => ended) || !done)
        {
            return false;
        }

        if (lost.Find(n => asked.Node?.Parts.Members.View?.Of(n.Id) is { State: not MemberState.Left }) is { } still)
        {
            throw new SimulationException($"{still.Id} was given up as lost, and is a member in the catalog of node {asked.Index}");
        }

        return true;
    }

    private void CrashOneSoon()
    {
        SimNode node = random.Pick(left);
        cluster.World.After(random.Between(0, 3_000_000), () => Crash(node));
    }

    private void Crash(SimNode node)
    {
        if (node.Node is not null && _attempts < MostDisturbed)
        {
            node.Crash(random.Pick<CrashMode>([CrashMode.KeepAll, CrashMode.LoseAllUnsynced, CrashMode.LoseRandomPart]));
            node.RestartLater();
        }
    }

    private string[]? Reports()
    {
        List<string> reports = [];
        foreach (SimNode node in left)
        {
            node.Guard("report", () => node.Node!.Recovery.Report(reports.Add));
        }

        return cluster.World.RunUntil(cluster.World.NowMs + AnswerMs, () => reports.Count == left.Count) ? [.. reports] : null;
    }
}

using Henge.Core;

namespace Henge.Cluster.Planning;

/// <summary>Says what a plan could not do so that a person knows what to do about it.</summary>
internal sealed class PlanTexts(PlanRequest request, PlanMembers members)
{
    // A text names so many members of a kind, and counts the others.
    private const int MostNames = 8;

    public IEnumerable<PlanProblem> Problems(
        IReadOnlyList<ShardId> narrow,
        IReadOnlyDictionary<NodeId, List<ShardId>> kept,
        IReadOnlyList<ShardId> leaderless,
        IReadOnlyList<ShardId> uneven)
    {
        if (narrow.Count > 0)
        {
            yield return new PlanProblem(
                PlanProblemKind.TooFewNodes,
                narrow,
                [],
                $"{Shards(narrow)} {Verb(narrow, "needs", "need")} {request.ReplicationFactor} replicas on different nodes; {Places()}. "
                    + "Start more nodes, or set a lower replication factor.");
        }

        foreach ((NodeId id, List<ShardId> shards) in kept)
        {
            int member = members.IndexOf(id);
            yield return new PlanProblem(
                PlanProblemKind.NoPlaceElsewhere,
                shards,
                [id],
                $"{members[member].Name}, which {Standing(member)}, keeps its {Verb(shards, "replica", "replicas")} of {Shards(shards)}: "
                    + $"each shard needs {request.ReplicationFactor} replicas on different nodes; {Places()}. "
                    + "Start another node, or set a lower replication factor.");
        }

        if (leaderless.Count > 0)
        {
            yield return new PlanProblem(
                PlanProblemKind.NobodyToLead,
                leaderless,
                [],
                $"{Shards(leaderless)} {Verb(leaderless, "has", "have")} no replica on a node that may lead; {Places()}.");
        }

        if (uneven.Count > 0)
        {
            yield return new PlanProblem(
                PlanProblemKind.NotSpread,
                uneven,
                [],
                $"{Shards(uneven)} {Verb(uneven, "stands", "stand")} in fewer zones than there are. "
                    + "A rebalance spreads replicas over zones, where their nodes are up.");
        }
    }

    private static string Shards(IReadOnlyList<ShardId> shards) => shards.Count switch
    {
        1 => $"shard {shards[0].Value}",
        2 => $"shards {shards[0].Value} and {shards[1].Value}",
        _ => $"shards {shards[0].Value}, {shards[1].Value} and {shards.Count - 2} more",
    };

    private static string Verb(IReadOnlyList<ShardId> shards, string one, string many) => shards.Count == 1 ? one : many;

    private string Places()
    {
        int[] takes = [.. members.Where(m => members.Takes(m) && members.Holds(m))];
        string[] others =
        [
            .. members
                .Where(m => members[m].State != MemberState.Left && !(members.Takes(m) && members.Holds(m)))
                .Select(m => $"{members[m].Name} {Standing(m)}"),
        ];
        string can = takes.Length switch
        {
            0 => "no node can take one",
            1 => $"only {members[takes[0]].Name} can take one",
            _ => $"only {takes.Length} nodes can take one ({Names([.. takes.Select(m => members[m].Name)])})",
        };
        return others.Length == 0 ? can : $"{can}; {Names(others)}";
    }

    private static string Names(string[] names) =>
        names.Length <= MostNames
            ? string.Join(", ", names)
            : string.Join(", ", names.Take(MostNames)) + $" and {names.Length - MostNames} more";

    private string Standing(int member) => members[member] switch
    {
        { State: MemberState.Leaving } => "is leaving",
        { DownForMs: { } ms } => $"has been down for {ms / 1_000} s",
        { State: MemberState.Draining } => "is being drained",
        { State: MemberState.Joining } => "is joining and not up yet",
        _ => "is up",
    };
}

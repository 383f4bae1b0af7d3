using Henge.Cluster.Recovery;
using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.Recovery;

/// <summary>Plans as they are shown. Pure functions.</summary>
internal static class RecoveryOffers
{
    /// <summary>A new plan.</summary>
    public static RecoveryOffer Of(RecoveryOutline outline)
    {
        Dictionary<NodeId, string> names = outline.Plan.Survivors.Concat(outline.Plan.Lost).GroupBy(static m => m.Id)
            .ToDictionary(static same => same.Key, static same => same.First().Name);
        string NameOf(NodeId id) => names.GetValueOrDefault(id) ?? id.ToString();
        return Of(outline.Plan) with
        {
            Shards =
            [
                .. outline.Shards.Select(loss =>
                {
                    RecoveryStep? step = outline.Plan.Steps.FirstOrDefault(s => s.Shard == loss.Shard);
                    return new RecoveryRow
                    {
                        Shard = loss.Shard,
                        Kind = loss.Kind.ToString(),
                        Action = loss.Kind == LossKind.Serving ? "-"
                            : step is null ? "stays as it is"
                            : step.IsEmpty ? "begins empty"
                            : "goes on",
                        From = step is null ? "" : NameOf(step.Best),
                        KeptVersion = loss.KeptVersion,
                        CertainVersion = loss.CertainVersion,
                        Kept = loss.Kept,
                        CertainlyLost = loss.CertainlyLost,
                        Lost = [.. loss.Lost.Select(NameOf)],
                    };
                }),
            ],
            Problems = outline.Problems,
            IsRefused = outline.IsRefused,
            LosesNothing = outline.LosesNothing,
        };
    }

    /// <summary>One that was begun before.</summary>
    public static RecoveryOffer Of(RecoveryPlan plan) => new()
    {
        PlanId = plan.Id,
        Plan = plan.Text,
        Survivors = [.. plan.Survivors.Select(static m => new NodeEntry(m.Id, m.Name, ""))],
        Lost = [.. plan.Lost.Select(static m => new NodeEntry(m.Id, m.Name, ""))],
        Shards =
        [
            .. plan.Steps.Select(step => new RecoveryRow
            {
                Shard = step.Shard,
                Kind = "",
                Action = step.IsEmpty ? "begins empty" : "goes on",
                From = plan.Survivors.FirstOrDefault(m => m.Id == step.Best).Name ?? "",
                KeptVersion = step.KeptVersion,
                Kept = step.Last,
            }),
        ],
    };
}

using System.Globalization;
using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Catalog;
using Henge.Node.Context;

namespace Henge.Node.Admin;

/// <summary>The settings that a cluster has, besides what it was made with.</summary>
internal static class ClusterSettings
{
    /// <summary>How many replicas a shard has.</summary>
    public const string ReplicationFactor = "replication-factor";

    /// <summary>The number of the last request for a rebalance: no setting for people.</summary>
    public const string Rebalance = "rebalance";

    private const int MostMoves = 4_096;

    /// <summary>All of them.</summary>
    public static IReadOnlyList<SettingRule> All { get; } =
    [
        new(
            ReplicationFactor,
            ReplicationFactor,
            "",
            1,
            TargetPlacement.MaxReplicas,
            NodeOptions.DefaultReplicationFactor,
            "replicas of each shard, each on another node"),
        new(
            "replace-after",
            "replace-after-ms",
            "ms",
            1_000,
            int.MaxValue,
            PlanRequest.DefaultReplaceAfterMs,
            "replicas of a node that is down for as long are made elsewhere"),
        new(
            "down-after",
            "down-after-ms",
            "ms",
            1_000,
            int.MaxValue,
            NodeContext.DefaultDownAfterMs,
            "a node that has not been heard of for as long counts as down"),
        new(
            "move-rate",
            "move-rate",
            "bytes",
            1,
            long.MaxValue,
            MoveRate.DefaultBytesPerSecond,
            "bytes of moving shards that a node sends in a second"),
        new("moves", "moves", "", 1, MostMoves, new MoveLimits().Cluster, "shards that get new replicas at a time"),
        new(
            "moves-per-member",
            "moves-per-member",
            "",
            1,
            MostMoves,
            new MoveLimits().Member,
            "of these, how many one node takes in, and how many it sends"),
    ];

    /// <summary>The setting of a name; throws InvalidArgument with the names that there are.</summary>
    public static SettingRule Find(string name) =>
        All.FirstOrDefault(r => r.Name == name) ?? throw new HengeException(
            ErrorCode.InvalidArgument,
            $"There is no setting '{name}' of a cluster. There are: {string.Join(", ", All.Select(static r => r.Name))}.");

    /// <summary>What they are.</summary>
    /// <param name="view">The catalog.</param>
    /// <param name="foundingFactor">The replication factor of a cluster that was made before there was a setting for it.</param>
    public static IReadOnlyList<ClusterSetting> Read(CatalogView view, int foundingFactor) =>
    [
        .. All.Select(rule =>
        {
            long unset = rule.Name == ReplicationFactor ? foundingFactor : rule.Default;
            bool isSet = view.Settings.TryGetValue(rule.Key, out string? text) && rule.TryRead(text, out _, out _);
            return new ClusterSetting(
                rule.Name,
                isSet ? long.Parse(text!, CultureInfo.InvariantCulture) : unset,
                rule.Default,
                isSet,
                rule.Unit,
                rule.Least,
                rule.Most,
                rule.Text);
        }),
    ];
}

using System.Globalization;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Output;

/// <summary>What each node has done since the last look, by the second. Not thread-safe.</summary>
internal sealed class StatusRates
{
    private readonly Dictionary<string, Look> _previous = [];
    private readonly Dictionary<string, string[]> _rates = [];

    /// <summary>
    /// Takes in a look. The nodes' own clocks time it, so that a slow answer does not bend the figures. Shards that came or went since the
    /// last look do not count: what a replica has by a snapshot it has not applied.
    /// </summary>
    public void Update(Wire.ClusterStatusResponse all)
    {
        foreach (Wire.StatusResponse status in all.Nodes.Where(static n => n.Status is not null).Select(static n => n.Status))
        {
            Look now = new(
                status.UptimeMs,
                status.Shards.ToDictionary(static s => s.Shard, static s => s.AppliedIndex),
                status.Log?.Syncs ?? 0);
            _rates[status.NodeId] = _previous.TryGetValue(status.NodeId, out Look? before) && now.UptimeMs > before.UptimeMs
                ?
                [
                    PerSecond(now.AppliedSince(before), now.UptimeMs - before.UptimeMs),
                    PerSecond((double)now.Syncs - before.Syncs, now.UptimeMs - before.UptimeMs),
                ]
                : ["", ""];
            _previous[status.NodeId] = now;
        }
    }

    /// <summary>
    /// Entries applied and syncs made in a second; empty while there was only one look, or when the node was started anew.
    /// </summary>
    public string[] Of(Wire.StatusResponse status) => _rates.GetValueOrDefault(status.NodeId) ?? ["", ""];

    private static string PerSecond(double count, ulong ms) =>
        (Math.Max(0, count) * 1000 / ms).ToString("#,0", CultureInfo.InvariantCulture);

    private sealed record Look(ulong UptimeMs, Dictionary<uint, ulong> Applied, ulong Syncs)
    {
        public double AppliedSince(Look before) => Applied.Sum(shard =>
            before.Applied.TryGetValue(shard.Key, out ulong applied) ? Math.Max(0, (double)shard.Value - applied) : 0);
    }
}

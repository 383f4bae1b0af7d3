using System.Globalization;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Output;

/// <summary>What each node has done since the last look, by the second. Not thread-safe.</summary>
internal sealed class StatusRates
{
    private readonly Dictionary<string, (ulong Uptime, double Applied, double Syncs)> _previous = [];
    private readonly Dictionary<string, string[]> _rates = [];

    /// <summary>Takes in a look. The nodes' own clocks time it, so that a slow answer does not bend the figures.</summary>
    public void Update(Wire.ClusterStatusResponse all)
    {
        foreach (Wire.StatusResponse status in all.Nodes.Where(static n => n.Status is not null).Select(static n => n.Status))
        {
            (ulong Uptime, double Applied, double Syncs) now = (
                status.UptimeMs,
                status.Shards.Sum(static s => (double)s.AppliedIndex),
                status.Log?.Syncs ?? 0);
            _rates[status.NodeId] =
                _previous.TryGetValue(status.NodeId, out (ulong Uptime, double Applied, double Syncs) before) && now.Uptime > before.Uptime
                    ?
                    [
                        PerSecond(now.Applied - before.Applied, now.Uptime - before.Uptime),
                        PerSecond(now.Syncs - before.Syncs, now.Uptime - before.Uptime),
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
}

using System.Globalization;
using Henge.Node.Access;
using Henge.Node.Api;

namespace Henge.Server.Hosting;

/// <summary>
/// Keeps the answer of health checks true: a node serves when it knows a leader of each shard and none of its replicas is in trouble. Looks
/// at each change of the topology, and every so often. Dispose of it before the server.
/// </summary>
public sealed class ReadinessMonitor : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    // A look reads the state of each shard, and when leaders change, hundreds may do so in a second.
    private static readonly TimeSpan LeastPause = TimeSpan.FromMilliseconds(20);

    private readonly IHengeNode _node;
    private readonly Action<string?> _changed;
    private readonly ReadinessLog? _log;
    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _wake = new(0);
    private readonly Task _loop;
    private int _disposed;
    private int _woken;

    /// <summary>Begins to look.</summary>
    /// <param name="node">The node.</param>
    /// <param name="changed">Told the first problem there is, and null when there is none: once at the beginning, and again when it
    /// changes.</param>
    /// <param name="log">Told what each look has found; null: nothing is.</param>
    public ReadinessMonitor(IHengeNode node, Action<string?> changed, ReadinessLog? log = null)
    {
        _node = node;
        _changed = changed;
        _log = log;
        node.TopologyChanged += OnTopologyChanged;
        _loop = RunAsync();
    }

    /// <summary>Why a node does not serve everything; null when it does.</summary>
    public static string? FindProblem(IHengeNode node)
    {
        Topology topology = node.GetTopology();
        int leaderless = 0;
        foreach (ShardPlacement shard in topology.Shards)
        {
            leaderless += shard.Leader.IsNone ? 1 : 0;
        }

        if (leaderless > 0)
        {
            IReadOnlyList<string> refused = node.GetStatus().RefusedPeers;
            return string.Create(
                    CultureInfo.InvariantCulture,
                    $"{leaderless} of {topology.Shards.Count} shards have no leader that this node knows of. "
                ) + (refused.Count > 0 ? "Peers are refused: " + string.Join(" ", refused) : "Is a majority of the nodes running?");
        }

        if (topology.ClusterId.Length == 0)
        {
            return "The cluster's id is not known yet.";
        }

        NodeStatus status = node.GetStatus();
        if (!status.Clock.IsKnown)
        {
            return "The clocks of a majority of the nodes are not known yet, so that this node can give no versions. Can it reach the "
                + "others?";
        }

        if (node is IAccessControl { Access.IsKnown: false })
        {
            return "This node does not know yet who may do what: it has to hear from the catalog's leader first.";
        }

        foreach (ShardStatus shard in status.Shards)
        {
            if (shard.Error is { } error)
            {
                return $"Shard {shard.Shard}: {error}";
            }

            if (shard.LastVersion.IsZero && !shard.Shard.IsCatalog)
            {
                return $"Shard {shard.Shard} has no version yet on this node, so that no watch can begin."
                    + (status.Clock.IsContested
                        ? " The nodes' clocks contradict each other, and those of nodes that are not heard would decide. Set the clocks, "
                            + "or start the other nodes."
                        : "");
            }
        }

        return null;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _node.TopologyChanged -= OnTopologyChanged;
        await _stopping.CancelAsync();
        await _loop;
        _stopping.Dispose();
    }

    // On the node's own threads, at each change of a leader.
    private void OnTopologyChanged()
    {
        if (Interlocked.Exchange(ref _woken, 1) == 0)
        {
            _wake.Release();
        }
    }

    private async Task RunAsync()
    {
        // Not on the thread that starts the server, which the node may be waiting for.
        await Task.Yield();
        string? last = "";
        while (!_stopping.IsCancellationRequested)
        {
            // Before the look: what changes in it is looked at again.
            Interlocked.Exchange(ref _woken, 0);
            string? problem = FindProblem(_node);
            if (problem != last)
            {
                last = problem;
                _changed(problem);
            }

            _log?.Observe(problem);
            try
            {
                if (await _wake.WaitAsync(Interval, _stopping.Token))
                {
                    await Task.Delay(LeastPause, _stopping.Token);
                }
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }
}

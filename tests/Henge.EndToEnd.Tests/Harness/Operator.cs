using Henge.Client;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.EndToEnd.Tests.Harness;

/// <summary>Somebody who changes a running cluster by the command line, and looks where its shards are. Thread-safe.</summary>
public sealed class Operator(ClusterProcesses cluster, CancellationToken cancel) : IDisposable
{
    private readonly HengeClient _client = cluster.Client();

    /// <summary>Runs a command of the command line on the founding nodes' addresses, to its end.</summary>
    public async Task<(int ExitCode, string Printed)> RunAsync(params string[] arguments)
    {
        using HengeProcess process = HengeProcess.Start(
            [.. arguments, "--timeout", "60s", "--peers", string.Join(',', cluster.Addresses)]);
        return (await process.WaitForExitAsync(cancel), process.Printed);
    }

    /// <summary>Runs a command that must succeed; gives what it printed.</summary>
    public async Task<string> DoAsync(params string[] arguments)
    {
        (int exitCode, string printed) = await RunAsync(arguments);
        Assert.True(exitCode == 0, $"{string.Join(' ', arguments)}: exit code {exitCode}\n{printed}");
        return printed;
    }

    /// <summary>Waits until something holds of who has each shard, as a node tells it.</summary>
    public Task UntilPlacesAsync(string what, string address, Func<IReadOnlyList<HashSet<string>>, bool> holds) =>
        UntilTopologyAsync(what, address, topology =>
            topology.Shards.Count > 0 && holds([.. topology.Shards.Select(static s => s.Replicas.ToHashSet(StringComparer.Ordinal))]));

    /// <summary>Waits until something holds of the topology, as a node tells it.</summary>
    public Task UntilTopologyAsync(string what, string address, Func<Wire.TopologyResponse, bool> holds) =>
        cluster.UntilAsync(what, async () =>
        {
            try
            {
                return holds(await _client.TopologyAsync(address, cancel));
            }
            catch (HengeException)
            {
                return false;
            }
        });

    /// <summary>Waits until clients have written more.</summary>
    public Task MoreAsync(Recorder recorder, int writes)
    {
        long before = recorder.Acknowledged;
        return cluster.UntilAsync("the clients have written more", () => Task.FromResult(recorder.Acknowledged >= before + writes));
    }

    /// <inheritdoc/>
    public void Dispose() => _client.Dispose();
}

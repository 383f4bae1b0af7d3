using Henge.EndToEnd.Tests.Harness;
using StackExchange.Redis;

namespace Henge.Redis.Tests;

/// <summary>
/// Three real nodes, which all tests of a class share, and connections to them; keys of tests begin with their own names.
/// </summary>
public sealed class ThreeNodes : IAsyncLifetime
{
    private readonly CancellationTokenSource _patience = new(TimeSpan.FromMinutes(3));
    private readonly List<ConnectionMultiplexer> _connections = [];
    private ClusterProcesses? _cluster;

    /// <summary>Where a node listens.</summary>
    public string AddressOf(int node) => Cluster.Addresses[node];

    internal ClusterProcesses Cluster => _cluster ?? throw new InvalidOperationException("The nodes have not been started.");

    /// <summary>The settings that tests share: longer time-outs, for busy machines.</summary>
    public ConfigurationOptions Options(int node, RedisProtocol protocol = RedisProtocol.Resp2) => new()
    {
        EndPoints = { AddressOf(node) },
        Protocol = protocol,
        AllowAdmin = true,
        ConnectTimeout = 30_000,
        SyncTimeout = 30_000,
        AsyncTimeout = 30_000,
        ReconnectRetryPolicy = new LinearRetry(200),
    };

    /// <summary>Connects to a node; the connection ends with this.</summary>
    public async Task<ConnectionMultiplexer> ConnectAsync(int node = 0, RedisProtocol protocol = RedisProtocol.Resp2)
    {
        ConnectionMultiplexer connection = await ConnectionMultiplexer.ConnectAsync(Options(node, protocol));
        lock (_connections)
        {
            _connections.Add(connection);
        }

        return connection;
    }

    public async ValueTask InitializeAsync()
    {
        _cluster = new ClusterProcesses(3, _patience.Token);
        await _cluster.StartAllAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (ConnectionMultiplexer connection in _connections)
        {
            await connection.DisposeAsync();
        }

        if (_cluster is not null)
        {
            await _cluster.DisposeAsync();
        }

        _patience.Dispose();
    }
}

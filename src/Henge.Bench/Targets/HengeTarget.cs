using System.Net.Security;
using Henge.Bench.Load;
using Henge.Client;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Bench.Targets;

/// <summary>
/// Henge by its own client: over sessions (<c>henge://</c>), or with a gRPC call for each operation (<c>grpc://</c>). All workers share one
/// client.
/// </summary>
public sealed class HengeTarget : ILoadTarget
{
    private readonly HengeClient _client;

    /// <summary>Makes the client; connects to nothing yet.</summary>
    /// <param name="peers">Nodes, each <c>host:port</c>.</param>
    /// <param name="sessions">Over sessions; else a call for each operation.</param>
    /// <param name="consistency">How reads are made sure of.</param>
    /// <param name="streams">Sessions to each node.</param>
    /// <param name="tls">How to speak TLS; null: not at all.</param>
    /// <param name="signIn">Sets who calls; null: nobody is named.</param>
    public HengeTarget(
        IReadOnlyList<string> peers,
        bool sessions,
        ReadConsistency consistency,
        int streams = 2,
        SslClientAuthenticationOptions? tls = null,
        Action<HengeClientOptions>? signIn = null)
    {
        Name = (sessions ? "henge://" : "grpc://") + string.Join(',', peers);
        HengeClientOptions options = new()
        {
            Peers = [.. peers],
            UseSessions = sessions,
            SessionsPerNode = streams,
            Consistency = consistency,
            Tls = tls,
        };
        signIn?.Invoke(options);
        _client = new HengeClient(options);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public async Task<ILoadConnection> ConnectAsync(int worker, CancellationToken cancellationToken)
    {
        if (worker == 0)
        {
            // A cluster that is not there should be told of before the load begins.
            await _client.TopologyAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        }

        return new Connection(_client);
    }

    /// <inheritdoc/>
    public async Task<ClusterView?> ViewAsync(CancellationToken cancellationToken)
    {
        Wire.TopologyResponse topology = await _client.TopologyAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        return new ClusterView
        {
            Nodes = [.. topology.Nodes.Select(static n => n.NodeId)],
            NodesGeneration = topology.MembersGeneration,
            Shards =
            [
                .. topology.Shards.Select(static s =>
                    new ShardView(s.LeaderId, s.Term, [.. s.Replicas], (s.MembershipTerm, s.MembershipIndex))),
            ],
        };
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _client.DisposeAsync();

    private sealed class Connection(HengeClient client) : ILoadConnection
    {
        public async ValueTask<bool> GetAsync(ReadOnlyMemory<byte> key, CancellationToken cancellationToken) =>
            (await client.GetAsync(key, null, cancellationToken).ConfigureAwait(false)).Found;

        public async ValueTask PutAsync(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, CancellationToken cancellationToken) =>
            await client.PutAsync(key, value, null, cancellationToken).ConfigureAwait(false);

        public async ValueTask<int> ScanAsync(ReadOnlyMemory<byte> start, int limit, CancellationToken cancellationToken)
        {
            ScanOptions options = new() { Range = KeyRange.Between(start, default), Limit = limit };
            return (await client.ScanPageAsync(options, default, cancellationToken).ConfigureAwait(false)).Pairs.Count;
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}

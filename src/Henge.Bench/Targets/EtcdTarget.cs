using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Henge.Bench.Load;
using Henge.Bench.Targets.Etcd;
using Henge.Client;
using Henge.Core;

namespace Henge.Bench.Targets;

/// <summary>
/// etcd by its v3 key-value API, with a gRPC call for each operation, over the same client stack that <c>grpc://</c> uses for Henge.
/// Workers take the servers in turn; all on one server share its connection. Reads are linearizable unless they are asked to be
/// serializable (etcd's word for whatever a server has).
/// </summary>
public sealed class EtcdTarget : ILoadTarget
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private readonly GrpcChannel[] _servers;
    private readonly bool _serializable;

    /// <summary>Makes the target; connects to nothing yet.</summary>
    /// <param name="servers">Each <c>host:port</c>.</param>
    /// <param name="consistency">How reads are made sure of: stale ones are etcd's serializable ones, all others are linearizable.</param>
    public EtcdTarget(IReadOnlyList<string> servers, ReadConsistency consistency)
    {
        _servers = [.. servers.Select(static s => GrpcChannel.ForAddress("http://" + s, new GrpcChannelOptions
        {
            HttpHandler = new SocketsHttpHandler { EnableMultipleHttp2Connections = true, UseProxy = false },
        }))];
        _serializable = consistency == ReadConsistency.Stale;
        Name = "etcd://" + string.Join(',', servers);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public async Task<ILoadConnection> ConnectAsync(int worker, CancellationToken cancellationToken)
    {
        var connection = new Connection(this, new KV.KVClient(_servers[worker % _servers.Length]));
        if (worker == 0)
        {
            // A server that is not there should be told of before the load begins.
            try
            {
                await connection.GetAsync(BenchKeys.Create(0), cancellationToken).ConfigureAwait(false);
            }
            catch (RpcException e)
            {
                throw new HengeException(ErrorCode.Unavailable, $"{Name} cannot be reached: {e.Status.Detail} Is etcd there?", e);
            }
        }

        return connection;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        foreach (GrpcChannel server in _servers)
        {
            server.Dispose();
        }

        return ValueTask.CompletedTask;
    }

    private sealed class Connection(EtcdTarget target, KV.KVClient server) : ILoadConnection
    {
        public async ValueTask<bool> GetAsync(ReadOnlyMemory<byte> key, CancellationToken cancellationToken)
        {
            var request = new RangeRequest { Key = UnsafeByteOperations.UnsafeWrap(key), Serializable = target._serializable };
            return (
                    await server
                        .RangeAsync(request, deadline: DateTime.UtcNow + Timeout, cancellationToken: cancellationToken)
                        .ConfigureAwait(false))
                    .Kvs
                    .Count > 0;
        }

        public async ValueTask PutAsync(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
        {
            var request = new PutRequest { Key = UnsafeByteOperations.UnsafeWrap(key), Value = UnsafeByteOperations.UnsafeWrap(value) };
            await server.PutAsync(request, deadline: DateTime.UtcNow + Timeout, cancellationToken: cancellationToken).ConfigureAwait(false);
        }

        public async ValueTask<int> ScanAsync(ReadOnlyMemory<byte> start, int limit, CancellationToken cancellationToken)
        {
            // An end of one zero byte means: all keys from the first on.
            var request = new RangeRequest
            {
                Key = UnsafeByteOperations.UnsafeWrap(start),
                RangeEnd = ByteString.CopyFrom(0),
                Limit = limit,
                Serializable = target._serializable,
            };
            return (
                await server
                    .RangeAsync(request, deadline: DateTime.UtcNow + Timeout, cancellationToken: cancellationToken)
                    .ConfigureAwait(false))
                .Kvs
                .Count;
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}

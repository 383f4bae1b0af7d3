using Google.Protobuf;
using Henge.Bench.Load;
using Henge.Bench.Targets.Etcd;
using Henge.Client;
using Henge.Client.Grpc;
using Henge.Core;

namespace Henge.Bench.Targets;

/// <summary>
/// etcd by its v3 key-value API, with a gRPC call for each operation, over the same client stack that <c>grpc://</c> uses for Henge. Workers take the servers in turn; all on one server share its connection.
/// Reads are linearizable unless they are asked to be serializable (etcd's word for whatever a server has).
/// </summary>
public sealed class EtcdTarget : ILoadTarget
{
    private static readonly GrpcMethod<PutResponse> Put = new("/etcdserverpb.KV/Put", PutResponse.Parser, ChangesState: true);
    private static readonly GrpcMethod<RangeResponse> Range = new("/etcdserverpb.KV/Range", RangeResponse.Parser, ChangesState: false);
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    private readonly IReadOnlyList<string> _servers;
    private readonly bool _serializable;
    private readonly GrpcTransport _transport;

    /// <summary>Makes the target; connects to nothing yet.</summary>
    /// <param name="servers">Each <c>host:port</c>.</param>
    /// <param name="consistency">How reads are made sure of: stale ones are etcd's serializable ones, all others are linearizable.</param>
    public EtcdTarget(IReadOnlyList<string> servers, ReadConsistency consistency)
    {
        _servers = servers;
        _serializable = consistency == ReadConsistency.Stale;
        _transport = new GrpcTransport(new HengeClientOptions { Peers = [.. servers] });
        Name = "etcd://" + string.Join(',', servers);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public async Task<ILoadConnection> ConnectAsync(int worker, CancellationToken cancellationToken)
    {
        var connection = new Connection(this, _servers[worker % _servers.Count]);
        if (worker == 0)
        {
            // A server that is not there should be told of before the load begins.
            try
            {
                await connection.GetAsync(BenchKeys.Create(0), cancellationToken).ConfigureAwait(false);
            }
            catch (AttemptFailedException e)
            {
                throw new HengeException(e.Code, $"{e.Message} Is etcd there?", e);
            }
        }

        return connection;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _transport.Dispose();
        return ValueTask.CompletedTask;
    }

    private sealed class Connection(EtcdTarget target, string server) : ILoadConnection
    {
        public async ValueTask<bool> GetAsync(ReadOnlyMemory<byte> key, CancellationToken cancellationToken)
        {
            var request = new RangeRequest { Key = UnsafeByteOperations.UnsafeWrap(key), Serializable = target._serializable };
            return (await target._transport.UnaryAsync(Range, server, request, Timeout, cancellationToken).ConfigureAwait(false)).Kvs.Count > 0;
        }

        public async ValueTask PutAsync(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
        {
            var request = new PutRequest { Key = UnsafeByteOperations.UnsafeWrap(key), Value = UnsafeByteOperations.UnsafeWrap(value) };
            await target._transport.UnaryAsync(Put, server, request, Timeout, cancellationToken).ConfigureAwait(false);
        }

        public async ValueTask<int> ScanAsync(ReadOnlyMemory<byte> start, int limit, CancellationToken cancellationToken)
        {
            // An end of one zero byte means: all keys from the first on.
            var request = new RangeRequest { Key = UnsafeByteOperations.UnsafeWrap(start), RangeEnd = ByteString.CopyFrom(0), Limit = limit, Serializable = target._serializable };
            return (await target._transport.UnaryAsync(Range, server, request, Timeout, cancellationToken).ConfigureAwait(false)).Kvs.Count;
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}

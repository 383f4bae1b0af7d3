using System.Buffers.Binary;
using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Henge.Bench.Load;
using Henge.Client;
using Henge.Core;
using Henge.Thrift.Generated;
using Thrift;
using Thrift.Protocol;
using Thrift.Transport;
using Thrift.Transport.Client;
using ErrorCode = Henge.Core.ErrorCode;

namespace Henge.Bench.Targets;

/// <summary>
/// Henge's Thrift door, by the compact protocol. One socket for each worker; lanes of a worker are pipelined over it. The calls are encoded
/// and decoded by the library, as any client's are.
/// </summary>
/// <param name="servers">Each is taken by a worker in turn.</param>
/// <param name="consistency">How reads are made sure of.</param>
/// <param name="tls">What a connection is made by; null: none has TLS.</param>
/// <param name="signIn">Says who calls; null: nobody does.</param>
public sealed class ThriftTarget(
    IReadOnlyList<(string Host, int Port)> servers,
    ReadConsistency consistency,
    SslClientAuthenticationOptions? tls = null,
    Action<HengeClientOptions>? signIn = null) : ILoadTarget
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    public string Name => "thrift://" + string.Join(',', servers.Select(s => s.Host + ":" + s.Port.ToString(CultureInfo.InvariantCulture)));

    /// <inheritdoc/>
    public async Task<ILoadConnection> ConnectAsync(int worker, CancellationToken cancellationToken)
    {
        (string host, int port) = servers[worker % servers.Count];
        Socket socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        Connection? connection = null;
        try
        {
            await socket.ConnectAsync(host, port, cancellationToken);
            Stream stream = new NetworkStream(socket, ownsSocket: true);
            if (tls is not null)
            {
                SslStream inner = new(stream);
                await inner.AuthenticateAsClientAsync(
                    new SslClientAuthenticationOptions
                    {
                        TargetHost = host,
                        CertificateChainPolicy = tls.CertificateChainPolicy,
                        ClientCertificateContext = tls.ClientCertificateContext,
                    },
                    cancellationToken);
                stream = inner;
            }

            connection = new Connection(stream, (Consistency)(int)consistency);
            if (await CredentialsAsync(cancellationToken) is { } credentials)
            {
                await connection.AuthAsync(credentials, cancellationToken);
            }

            return connection;
        }
        catch (Exception e)
        {
            socket.Dispose();
            if (connection is not null)
            {
                await connection.DisposeAsync();
            }

            throw e is SocketException or IOException or AuthenticationException
                ? new HengeException(ErrorCode.Unavailable, $"{host}:{port} cannot be reached: {e.Message}", e)
                : e;
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private async ValueTask<Credentials?> CredentialsAsync(CancellationToken cancellationToken)
    {
        HengeClientOptions options = new();
        signIn?.Invoke(options);
        string? token = options.TokenProvider is { } provider ? await provider(cancellationToken) : options.Token;
        return token is not null ? new Credentials { Token = token }
            : options.User is { } user ? new Credentials { User = user, Password = options.Password ?? "" }
            : null;
    }

    private sealed class Connection : ILoadConnection
    {
        private readonly Stream _stream;
        private readonly Consistency _consistency;
        private readonly TConfiguration _configuration = new();
        private readonly SemaphoreSlim _sending = new(1);
        private readonly Queue<TaskCompletionSource<byte[]>> _waiting = new();
        private readonly Task _reader;
        private Exception? _broken;

        public Connection(Stream stream, Consistency consistency)
        {
            (_stream, _consistency) = (stream, consistency);
            _reader = Task.Run(ReadAsync);
        }

        public Task AuthAsync(Credentials credentials, CancellationToken cancellationToken) => CallAsync(
            (calls, cancel) => calls.send_authAsync(credentials, cancel),
            static async (calls, cancel) =>
            {
                await calls.recv_authAsync(cancel);
                return true;
            },
            cancellationToken);

        public async ValueTask<bool> GetAsync(ReadOnlyMemory<byte> key, CancellationToken cancellationToken)
        {
            GetRequest request = new() { Key = key.ToArray(), Consistency = _consistency };
            return (await CallAsync(
                (calls, cancel) => calls.send_getAsync(request, cancel),
                static (calls, cancel) => calls.recv_getAsync(cancel),
                cancellationToken)).Found;
        }

        public async ValueTask PutAsync(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
        {
            PutRequest request = new() { Key = key.ToArray(), Value = value.ToArray() };
            await CallAsync(
                (calls, cancel) => calls.send_putAsync(request, cancel),
                static (calls, cancel) => calls.recv_putAsync(cancel),
                cancellationToken);
        }

        public async ValueTask<int> ScanAsync(ReadOnlyMemory<byte> start, int limit, CancellationToken cancellationToken)
        {
            ScanRequest request = new() { StartKey = start.ToArray(), Limit = limit, Consistency = _consistency };
            return (await CallAsync(
                (calls, cancel) => calls.send_scanAsync(request, cancel),
                static (calls, cancel) => calls.recv_scanAsync(cancel),
                cancellationToken)).Pairs?.Count ?? 0;
        }

        public async ValueTask DisposeAsync()
        {
            await _stream.DisposeAsync();
            await _reader;
            _sending.Dispose();
        }

        private async Task<T> CallAsync<T>(
            Func<KVStore.Client, CancellationToken, Task> send,
            Func<KVStore.Client, CancellationToken, Task<T>> receive,
            CancellationToken cancellationToken)
        {
            using TMemoryBufferTransport request = new(_configuration, 256);
            using TFramedTransport framed = new(request);
            await send(ClientOver(framed), cancellationToken);
            TaskCompletionSource<byte[]> answered = new(TaskCreationOptions.RunContinuationsAsynchronously);

            // Answers come in the order of the calls, so a call takes its place as it is sent.
            await _sending.WaitAsync(cancellationToken);
            try
            {
                lock (_waiting)
                {
                    if (_broken is not null)
                    {
                        throw new HengeException(ErrorCode.Unavailable, "The connection has ended: " + _broken.Message, _broken);
                    }

                    _waiting.Enqueue(answered);
                }

                await _stream.WriteAsync(request.GetBuffer().AsMemory(0, request.Length), CancellationToken.None);
            }
            finally
            {
                _sending.Release();
            }

            byte[] frame = await answered.Task.WaitAsync(Timeout, cancellationToken);
            using TMemoryBufferTransport answer = new(frame, _configuration);
            return await receive(ClientOver(answer), cancellationToken);
        }

        private async Task ReadAsync()
        {
            byte[] length = new byte[sizeof(int)];
            try
            {
                while (true)
                {
                    await _stream.ReadExactlyAsync(length);
                    int bytes = BinaryPrimitives.ReadInt32BigEndian(length);
                    if (bytes < 0 || bytes > _configuration.MaxFrameSize)
                    {
                        throw new IOException($"A frame of {bytes} bytes is announced.");
                    }

                    byte[] frame = new byte[bytes];
                    await _stream.ReadExactlyAsync(frame);
                    TaskCompletionSource<byte[]>? first;
                    lock (_waiting)
                    {
                        _waiting.TryDequeue(out first);
                    }

                    (first ?? throw new IOException("An answer came to no call.")).SetResult(frame);
                }
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
            {
                lock (_waiting)
                {
                    _broken = e;
                    while (_waiting.TryDequeue(out TaskCompletionSource<byte[]>? waiting))
                    {
                        waiting.SetException(new HengeException(ErrorCode.UnknownOutcome, "The connection has ended: " + e.Message, e));
                    }
                }
            }
        }

        private static KVStore.Client ClientOver(TTransport transport)
        {
            TCompactProtocol protocol = new(transport);
            return new KVStore.Client(protocol, protocol);
        }
    }
}

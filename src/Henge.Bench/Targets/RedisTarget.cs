using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using System.Threading.Tasks.Sources;
using Henge.Bench.Load;
using Henge.Core;

namespace Henge.Bench.Targets;

/// <summary>
/// Anything that speaks RESP: Redis, or Henge's RESP door. One socket for each worker; lanes of a worker are pipelined over it.
/// </summary>
public sealed class RedisTarget(
    IReadOnlyList<(string Host, int Port)> servers,
    SslClientAuthenticationOptions? tls = null) : ILoadTarget
{
    /// <inheritdoc/>
    public string Name => "redis://" + string.Join(',', servers.Select(s => s.Host + ":" + s.Port.ToString(CultureInfo.InvariantCulture)));

    /// <inheritdoc/>
    public async Task<ILoadConnection> ConnectAsync(int worker, CancellationToken cancellationToken)
    {
        (string host, int port) = servers[worker % servers.Count];
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
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

            return new Connection(stream);
        }
        catch (Exception e) when (e is SocketException or IOException or AuthenticationException)
        {
            socket.Dispose();
            throw new HengeException(ErrorCode.Unavailable, $"{host}:{port} cannot be reached: {e.Message}", e);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private sealed class Connection : ILoadConnection
    {
        private readonly Stream _stream;
        private readonly Lock _gate = new();
        private readonly Queue<Pending> _waiting = new();
        private readonly Stack<Pending> _pool = new();
        private readonly Task _reader, _writer;
        private readonly SemaphoreSlim _wake = new(0);
        private ArrayBufferWriter<byte> _open = new(16 * 1024);
        private ArrayBufferWriter<byte> _sending = new(16 * 1024);
        private bool _writerWaits;
        private Exception? _broken;

        public Connection(Stream stream)
        {
            _stream = stream;
            _reader = Task.Run(ReadAsync);
            _writer = Task.Run(WriteAsync);
        }

        public async ValueTask<bool> GetAsync(ReadOnlyMemory<byte> key, CancellationToken cancellationToken) =>
            await Send("GET"u8, key.Span, default, 2) >= 0;

        public async ValueTask PutAsync(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, CancellationToken cancellationToken) =>
            await Send("SET"u8, key.Span, value.Span, 3);

        public ValueTask<int> ScanAsync(ReadOnlyMemory<byte> start, int limit, CancellationToken cancellationToken) =>
            throw new NotSupportedException("RESP has no scan from a key on; measure scans with henge:// or grpc://.");

        public async ValueTask DisposeAsync()
        {
            _stream.Dispose();
            Break(new ObjectDisposedException(nameof(Connection)));
            await Task.WhenAll(_reader, _writer);
            _wake.Dispose();
        }

        private ValueTask<int> Send(ReadOnlySpan<byte> name, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, int count)
        {
            lock (_gate)
            {
                if (_broken is not null)
                {
                    return ValueTask.FromException<int>(_broken);
                }

                Number('*', count);
                Bulk(name);
                Bulk(key);
                if (count == 3)
                {
                    Bulk(value);
                }

                Pending pending = _pool.Count > 0 ? _pool.Pop() : new Pending(this);
                _waiting.Enqueue(pending);
                if (_writerWaits)
                {
                    _writerWaits = false;
                    _wake.Release();
                }

                return pending.Task;
            }
        }

        private void Number(char type, int value)
        {
            Span<byte> span = _open.GetSpan(16);
            span[0] = (byte)type;
            Utf8Formatter.TryFormat(value, span[1..], out int digits);
            "\r\n"u8.CopyTo(span[(1 + digits)..]);
            _open.Advance(digits + 3);
        }

        private void Bulk(ReadOnlySpan<byte> bytes)
        {
            Number('$', bytes.Length);
            _open.Write(bytes);
            _open.Write("\r\n"u8);
        }

        private async Task WriteAsync()
        {
            try
            {
                while (true)
                {
                    bool wait;
                    lock (_gate)
                    {
                        if (_broken is not null)
                        {
                            return;
                        }

                        wait = _writerWaits = _open.WrittenCount == 0;
                        if (!wait)
                        {
                            (_open, _sending) = (_sending, _open);
                            _open.ResetWrittenCount();
                        }
                    }

                    if (wait)
                    {
                        await _wake.WaitAsync();
                        continue;
                    }

                    await _stream.WriteAsync(_sending.WrittenMemory);
                }
            }
            catch (Exception error) when (error is SocketException or IOException or ObjectDisposedException)
            {
                Break(error);
            }
        }

        private async Task ReadAsync()
        {
            var buffer = new byte[64 * 1024];
            int filled = 0;
            try
            {
                while (true)
                {
                    if (filled == buffer.Length)
                    {
                        Array.Resize(ref buffer, buffer.Length * 2);
                    }

                    int read = await _stream.ReadAsync(buffer.AsMemory(filled));
                    if (read == 0)
                    {
                        throw new SocketException((int)SocketError.ConnectionReset);
                    }

                    filled += read;
                    int used = Replies(buffer.AsSpan(0, filled));
                    buffer.AsSpan(used, filled - used).CopyTo(buffer);
                    filled -= used;
                }
            }
            catch (Exception error) when (error is SocketException or IOException or ObjectDisposedException)
            {
                Break(error);
            }
        }

        private int Replies(ReadOnlySpan<byte> data)
        {
            int used = 0;
            while (true)
            {
                ReadOnlySpan<byte> rest = data[used..];
                int end = rest.IndexOf((byte)'\n');
                if (end < 0)
                {
                    return used;
                }

                int length = -1, size = end + 1;
                if (rest[0] == '$' && Utf8Parser.TryParse(rest[1..], out length, out _) && length >= 0)
                {
                    size += length + 2;
                    if (rest.Length < size)
                    {
                        return used;
                    }
                }

                string? error = rest[0] == '-' ? Encoding.UTF8.GetString(rest[1..(end - 1)]) : null;
                int result = rest[0] == '$' ? length : rest[0] == '_' ? -1 : 0;
                used += size;
                Pending pending;
                lock (_gate)
                {
                    pending = _waiting.Dequeue();
                }

                pending.Complete(result, error);
            }
        }

        private void Break(Exception error)
        {
            Pending[] lost;
            lock (_gate)
            {
                _broken ??= error;
                lost = [.. _waiting];
                _waiting.Clear();
                if (_writerWaits)
                {
                    _writerWaits = false;
                    _wake.Release();
                }
            }

            foreach (Pending pending in lost)
            {
                pending.Fail(error);
            }
        }

        /// <summary>One reply that is waited for; goes back to the pool when its result has been taken.</summary>
        private sealed class Pending(Connection owner) : IValueTaskSource<int>
        {
            private ManualResetValueTaskSourceCore<int> _core;

            public ValueTask<int> Task => new(this, _core.Version);

            public void Complete(int result, string? error)
            {
                if (error is null)
                {
                    _core.SetResult(result);
                }
                else
                {
                    _core.SetException(new InvalidOperationException(error));
                }
            }

            public void Fail(Exception error) => _core.SetException(error);

            public int GetResult(short token)
            {
                try
                {
                    return _core.GetResult(token);
                }
                finally
                {
                    _core.Reset();
                    lock (owner._gate)
                    {
                        owner._pool.Push(this);
                    }
                }
            }

            public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

            public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
                _core.OnCompleted(continuation, state, token, flags);
        }
    }
}

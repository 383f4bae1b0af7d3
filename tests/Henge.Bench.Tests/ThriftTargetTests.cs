using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Henge.Bench.Load;
using Henge.Bench.Targets;
using Henge.Core;
using Henge.Thrift.Generated;
using Thrift;
using Thrift.Protocol;
using Thrift.Transport;
using Thrift.Transport.Client;
using ErrorCode = Henge.Core.ErrorCode;
using ReadConsistency = Henge.Client.ReadConsistency;

namespace Henge.Bench.Tests;

public sealed class ThriftTargetTests
{
    [Fact]
    public async Task What_is_put_is_found_and_what_is_not_is_missing()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        using Server server = new();
        await using ThriftTarget target = new([server.Address], ReadConsistency.Stale);
        Assert.Equal($"thrift://127.0.0.1:{server.Address.Port}", target.Name);
        await using ILoadConnection connection = await target.ConnectAsync(0, cancel);
        await connection.PutAsync("a"u8.ToArray(), "value"u8.ToArray(), cancel);
        Assert.Equal("value"u8.ToArray(), server.Store["a"]);
        Assert.True(await connection.GetAsync("a"u8.ToArray(), cancel));
        Assert.False(await connection.GetAsync("b"u8.ToArray(), cancel));
        Assert.Equal(1, await connection.ScanAsync("a"u8.ToArray(), 10, cancel));
        Assert.Equal(Consistency.STALE, server.LastConsistency);
        Assert.Null(server.Who);
    }

    [Fact]
    public async Task Calls_under_way_together_are_answered_each_by_its_own()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        using Server server = new();
        await using ThriftTarget target = new([server.Address], ReadConsistency.Default);
        await using ILoadConnection connection = await target.ConnectAsync(0, cancel);
        await Task.WhenAll(Enumerable.Range(0, 200).Where(static i => i % 2 == 0)
            .Select(i => connection.PutAsync(Encoding.UTF8.GetBytes($"k{i}"), new byte[i], cancel).AsTask()));
        bool[] found = await Task.WhenAll(Enumerable.Range(0, 200)
            .Select(i => connection.GetAsync(Encoding.UTF8.GetBytes($"k{i}"), cancel).AsTask()));
        Assert.Equal(Enumerable.Range(0, 200).Select(static i => i % 2 == 0), found);
    }

    [Fact]
    public async Task Who_calls_is_said_first()
    {
        using Server server = new();
        await using ThriftTarget target = new(
            [server.Address], ReadConsistency.Default, signIn: static o => (o.User, o.Password) = ("ann", "secret"));
        await using (await target.ConnectAsync(0, TestContext.Current.CancellationToken))
        {
            Assert.Equal("ann secret", server.Who);
        }

        await using ThriftTarget other = new([server.Address], ReadConsistency.Default, signIn: static o => o.Token = "a.b.c");
        await using (await other.ConnectAsync(0, TestContext.Current.CancellationToken))
        {
            Assert.Equal("a.b.c", server.Who);
        }
    }

    [Fact]
    public async Task A_server_that_is_not_there_or_goes_is_told_of()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        await using ThriftTarget nobody = new([("127.0.0.1", 1)], ReadConsistency.Default);
        HengeException e = await Assert.ThrowsAsync<HengeException>(() => nobody.ConnectAsync(0, cancel));
        Assert.Equal(ErrorCode.Unavailable, e.Code);
        Assert.Contains("127.0.0.1:1", e.Message, StringComparison.Ordinal);

        using Server server = new();
        await using ThriftTarget target = new([server.Address], ReadConsistency.Default);
        await using ILoadConnection connection = await target.ConnectAsync(0, cancel);
        Assert.False(await connection.GetAsync("gone"u8.ToArray(), cancel));
        await Assert.ThrowsAsync<HengeException>(() => connection.GetAsync("hang up"u8.ToArray(), cancel).AsTask());
        await Assert.ThrowsAsync<HengeException>(() => connection.GetAsync("gone"u8.ToArray(), cancel).AsTask());
    }

    /// <summary>The service by the library's own code, as far as a load needs it.</summary>
    private sealed class Server : KVStore.IAsync, IDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

        public Server()
        {
            _listener.Start();
            _ = AcceptAsync();
        }

        public ConcurrentDictionary<string, byte[]> Store { get; } = [];

        public Consistency LastConsistency { get; private set; }

        public string? Who { get; private set; }

        public (string Host, int Port) Address => ("127.0.0.1", ((IPEndPoint)_listener.LocalEndpoint).Port);

        public Task authAsync(Credentials? credentials, CancellationToken cancellationToken = default)
        {
            Who = credentials!.Token ?? $"{credentials.User} {credentials.Password}";
            return Task.CompletedTask;
        }

        public Task<GetResult> getAsync(GetRequest? request, CancellationToken cancellationToken = default)
        {
            LastConsistency = request!.Consistency;
            return Task.FromResult(new GetResult { Found = Store.ContainsKey(Encoding.UTF8.GetString(request.Key!)) });
        }

        public Task<PutResult> putAsync(PutRequest? request, CancellationToken cancellationToken = default)
        {
            Store[Encoding.UTF8.GetString(request!.Key!)] = request.Value!;
            return Task.FromResult(new PutResult { Success = true });
        }

        public Task<ScanPage> scanAsync(ScanRequest? request, CancellationToken cancellationToken = default) =>
            Task.FromResult(new ScanPage { Pairs = [.. Store.Take(request!.Limit).Select(static _ => new KeyValue())] });

        public Task<DeleteResult> removeAsync(DeleteRequest? request, CancellationToken cancellationToken = default) =>
            throw new NotSupportedException();

        public Task<List<GetResult>> multiGetAsync(MultiGetRequest? request, CancellationToken cancellationToken = default) =>
            throw new NotSupportedException();

        public Task<List<PutOutcome>> multiPutAsync(List<PutRequest>? requests, CancellationToken cancellationToken = default) =>
            throw new NotSupportedException();

        public Task<TxnResult> txnAsync(TxnRequest? request, CancellationToken cancellationToken = default) =>
            throw new NotSupportedException();

        public Task<NodeStatus> statusAsync(CancellationToken cancellationToken = default) => throw new NotSupportedException();

        public void Dispose() => _listener.Dispose();

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    _ = ServeAsync(await _listener.AcceptTcpClientAsync());
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // It is over.
                return;
            }
        }

        private async Task ServeAsync(TcpClient client)
        {
            using (client)
            {
                NetworkStream stream = client.GetStream();
                byte[] length = new byte[4];
                while (await stream.ReadAtLeastAsync(length, 4, throwOnEndOfStream: false) == 4)
                {
                    byte[] frame = new byte[BinaryPrimitives.ReadInt32BigEndian(length)];
                    await stream.ReadExactlyAsync(frame);
                    using TMemoryBufferTransport input = new(frame, new TConfiguration());
                    using TMemoryBufferTransport output = new(new TConfiguration());
                    using TFramedTransport framed = new(output);
                    TCompactProtocol reader = new(input), writer = new(framed);
                    if (Encoding.Latin1.GetString(frame).Contains("hang up", StringComparison.Ordinal))
                    {
                        return;
                    }

                    await new KVStore.AsyncProcessor(this).ProcessAsync(reader, writer);
                    await stream.WriteAsync(output.GetBuffer().AsMemory(0, output.Length));
                }
            }
        }
    }
}

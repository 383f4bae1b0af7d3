using System.Buffers;
using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Henge.Server.Tests.Fakes;
using Henge.Server.Thrift;
using Henge.Thrift.Generated;
using Thrift;
using Thrift.Protocol;
using Thrift.Protocol.Entities;
using Thrift.Transport;
using Thrift.Transport.Client;

namespace Henge.Server.Tests.Thrift;

/// <summary>A client of the Thrift door: by the library, and byte by byte.</summary>
internal sealed class ThriftPeer : IDisposable
{
    private readonly TcpClient _connection;
    private readonly TProtocol _protocol;

    private ThriftPeer(TcpClient connection, Stream stream, ThriftEncoding encoding)
    {
        _connection = connection;
        Stream = stream;
        Encoding = encoding;
        TStreamTransport transport = new(Stream, Stream, new TConfiguration());
        _protocol = ProtocolOver(encoding, new TFramedTransport(transport));
        Calls = new KVStore.Client(_protocol, _protocol);
    }

    public ThriftEncoding Encoding { get; }

    public KVStore.Client Calls { get; }

    public Stream Stream { get; }

    public static async Task<ThriftPeer> OpenAsync(IPEndPoint server, ThriftEncoding encoding)
    {
        TcpClient client = new() { NoDelay = true };
        await client.ConnectAsync(server);
        return new ThriftPeer(client, client.GetStream(), encoding);
    }

    /// <summary>Behind TLS, by a certificate.</summary>
    public static async Task<ThriftPeer> OpenAsync(IPEndPoint server, ThriftEncoding encoding, X509Certificate2 certificate)
    {
        TcpClient client = new() { NoDelay = true };
        await client.ConnectAsync(server);
        SslStream stream = new(client.GetStream());
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            ClientCertificateContext = SslStreamCertificateContext.Create(certificate, null, offline: true),
            RemoteCertificateValidationCallback = static (_, shown, _, _) => shown is not null,
        });
        return new ThriftPeer(client, stream, encoding);
    }

    public static TProtocol ProtocolOver(ThriftEncoding encoding, TTransport transport) =>
        encoding == ThriftEncoding.Compact ? new TCompactProtocol(transport) : new TBinaryProtocol(transport);

    /// <summary>The frame of what is written to a protocol.</summary>
    public static async Task<byte[]> FrameAsync(ThriftEncoding encoding, Func<TProtocol, Task> write)
    {
        using FrameOutput output = new(new TConfiguration());
        output.Begin();
        await write(ProtocolOver(encoding, output));
        return output.End().ToArray();
    }

    /// <summary>The frame of a call.</summary>
    public static Task<byte[]> CallAsync(ThriftEncoding encoding, Func<KVStore.Client, Task> send) =>
        FrameAsync(encoding, protocol => send(new KVStore.Client(protocol, protocol)));

    /// <summary>The frame of a message without anything in it.</summary>
    public static Task<byte[]> MessageAsync(ThriftEncoding encoding, string name, TMessageType type, int number) =>
        FrameAsync(encoding, async protocol =>
        {
            await protocol.WriteMessageBeginAsync(new TMessage(name, type, number), CancellationToken.None);
            await protocol.WriteFieldStopAsync(CancellationToken.None);
        });

    /// <summary>A frame of any bytes.</summary>
    public static byte[] Frame(ReadOnlySpan<byte> message)
    {
        byte[] frame = new byte[4 + message.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, message.Length);
        message.CopyTo(frame.AsSpan(4));
        return frame;
    }

    public ValueTask SayAsync(ReadOnlyMemory<byte> bytes) => Stream.WriteAsync(bytes);

    public void EndSaying() => _connection.Client.Shutdown(SocketShutdown.Send);

    /// <summary>The next frame that the other side sends; null: it has ended the connection.</summary>
    public async Task<byte[]?> HearAsync()
    {
        using CancellationTokenSource patience = new(RunningServer.Patience);
        byte[] length = new byte[4];
        try
        {
            if (await Stream.ReadAtLeastAsync(length, 4, throwOnEndOfStream: false, patience.Token) < 4)
            {
                return null;
            }

            byte[] frame = new byte[BinaryPrimitives.ReadInt32BigEndian(length)];
            await Stream.ReadExactlyAsync(frame, patience.Token);
            return frame;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>The TApplicationException that comes next, and what it answers.</summary>
    public async Task<(TApplicationException Problem, TMessage Message)> HearProblemAsync()
    {
        byte[]? frame = await HearAsync();
        Assert.NotNull(frame);
        using FrameInput input = new(new TConfiguration());
        input.Begin(new ReadOnlySequence<byte>(frame));
        TProtocol protocol = ProtocolOver(Encoding, input);
        TMessage message = await protocol.ReadMessageBeginAsync(CancellationToken.None);
        Assert.Equal(TMessageType.Exception, message.Type);
        return (await TApplicationException.ReadAsync(protocol, CancellationToken.None), message);
    }

    /// <summary>The result of the next answer, read as that of a get.</summary>
    public async Task<GetResult> HearGetAsync()
    {
        byte[]? frame = await HearAsync();
        Assert.NotNull(frame);
        using FrameInput input = new(new TConfiguration());
        input.Begin(new ReadOnlySequence<byte>(frame));
        TProtocol protocol = ProtocolOver(Encoding, input);
        return await new KVStore.Client(protocol, protocol).recv_getAsync();
    }

    public void Dispose()
    {
        Calls.Dispose();
        _protocol.Dispose();
        Stream.Dispose();
        _connection.Dispose();
    }
}

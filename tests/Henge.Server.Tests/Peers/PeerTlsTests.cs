using System.Buffers.Binary;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Server.Peers;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tls;
using Microsoft.Extensions.Logging.Abstractions;

namespace Henge.Server.Tests.Peers;

public sealed class PeerTlsTests
{
    private const int FrameBytes = 20_000;

    [Fact]
    public async Task Sealed_frames_arrive_whole_and_in_order_and_what_finds_no_room_is_dropped_whole()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        using TestCertificates certificates = new();
        certificates.Sign("a", "CN=node", DateTimeOffset.UtcNow.AddDays(10));
        certificates.Sign("b", "CN=node", DateTimeOffset.UtcNow.AddDays(10));
        using TlsFiles own = TlsFiles.Open(certificates.Settings("a"), NullLogger.Instance);
        using TlsFiles others = TlsFiles.Open(certificates.Settings("b"), NullLogger.Instance);
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        using PeerTransport transport = new(
            new NodeId(1),
            [new NodeEntry(new NodeId(1), "a", "127.0.0.1:1"), new NodeEntry(new NodeId(2), "b", listener.LocalEndpoint.ToString()!)],
            new PeerTransportOptions { QueueBytes = 1 << 20, Tls = new TlsConnector(own) });
        Receiver receiver = new();
        transport.Start(receiver);
        using TcpClient accepted = await listener.AcceptTcpClientAsync(cancel);
        await using SslStream stream = new(accepted.GetStream());
        await stream.AuthenticateAsServerAsync(others.Current.ForServer(static problem => Assert.Fail(problem)), cancel);
        Assert.True(ConnectionIdentity.Of((X509Certificate2)stream.RemoteCertificate!).IsNode);
        await stream.ReadExactlyAsync(new byte[Receiver.Hello.Length], cancel);
        await stream.WriteAsync(Receiver.Hello, cancel);
        PeerConnection connection = Assert.Single(transport.Connections);
        while (!connection.IsConnected)
        {
            await Task.Yield();
        }

        // Several times until there is no room, and then everything that was taken is read.
        byte[] frame = new byte[FrameBytes], read = new byte[FrameBytes];
        int next = 0, expected = 0;
        for (int round = 0; round < 3; round++)
        {
            while (Send(next, messages: false))
            {
                next++;
                Assert.True(next < 100_000, "nothing was dropped");
            }

            Assert.True(connection.QueuedBytes < (1 << 20) + (64 * 1024), $"{connection.QueuedBytes} bytes wait");
            for (; expected < next; expected++)
            {
                await stream.ReadExactlyAsync(read, cancel);
                Assert.Equal(expected, BinaryPrimitives.ReadInt32LittleEndian(read));
                Assert.Equal((byte)expected, read[^1]);
            }
        }

        Assert.True(Send(next, messages: true));
        accepted.Close();
        while (connection.IsConnected)
        {
            Send(next, messages: false);
            await Task.Yield();
        }

        bool Send(int number, bool messages)
        {
            BinaryPrimitives.WriteInt32LittleEndian(frame, number);
            frame[^1] = (byte)number;
            return connection.Send(frame, messages);
        }
    }

    [Theory]
    [InlineData("CN=alice", false)]
    [InlineData("CN=node", true)]
    public async Task A_node_takes_nobody_for_a_peer_but_a_node_of_its_own_cluster(string subject, bool ofAnotherAuthority)
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        using TestCertificates certificates = new(), foreign = new();
        certificates.Sign("a", "CN=node", DateTimeOffset.UtcNow.AddDays(10));
        (ofAnotherAuthority ? foreign : certificates).Sign("b", subject, DateTimeOffset.UtcNow.AddDays(10));
        using TlsFiles own = TlsFiles.Open(certificates.Settings("a"), NullLogger.Instance);
        using TlsFiles others = TlsFiles.Open(
            (ofAnotherAuthority ? foreign : certificates).Settings("b", isForPeers: false) with
            {
                ClientAuthentication = TlsClientAuthentication.None,
                AuthorityFile = null,
            },
            NullLogger.Instance);
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        using PeerTransport transport = new(
            new NodeId(1),
            [new NodeEntry(new NodeId(1), "a", "127.0.0.1:1"), new NodeEntry(new NodeId(2), "b", listener.LocalEndpoint.ToString()!)],
            new PeerTransportOptions { Tls = new TlsConnector(own) });
        transport.Start(new Receiver());
        for (int i = 0; i < 2; i++)
        {
            using TcpClient accepted = await listener.AcceptTcpClientAsync(cancel);
            await using SslStream stream = new(accepted.GetStream());

            // No hello comes: the caller ends it, in the handshake or right after.
            try
            {
                await stream.AuthenticateAsServerAsync(others.Current.ForServer(static _ => { }), cancel);
                Assert.Equal(0, await stream.ReadAsync(new byte[1], cancel));
            }
            catch (Exception e) when (e is IOException or System.Security.Authentication.AuthenticationException)
            {
                Assert.NotNull(e.Message);
            }
        }

        Assert.False(Assert.Single(transport.Connections).IsConnected);
    }

    private sealed class Receiver : IPeerReceiver
    {
        public static byte[] Hello { get; } = [.. BitConverter.GetBytes(PeerFrame.Magic), .. BitConverter.GetBytes(100), .. new byte[104]];

        public byte[] HelloTo(NodeId peer) => Hello;

        public bool OnHello(ReadOnlySpan<byte> frame, out NodeId peer)
        {
            peer = new NodeId(2);
            return true;
        }

        public void OnFrame(ReadOnlySpan<byte> frame)
        {
        }

        public void OnDisconnected(NodeId peer)
        {
        }
    }
}

using System.Buffers.Binary;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Server.JsonLines;
using Henge.Server.Peers;
using Henge.Server.Ports;
using Henge.Server.Resp;
using Henge.Server.Tests.Fakes;
using Henge.Server.Thrift;
using Thrift;
using Thrift.Protocol;
using Thrift.Protocol.Entities;

namespace Henge.Server.Tests.Thrift;

/// <summary>The Thrift door among the others of the port, by the first bytes of a connection.</summary>
public sealed class ThriftFirstBytesTests : IDisposable
{
    private const int Binary = 3, Compact = 4;
    private static readonly byte[] BinaryCall = [0x80, 1, 0, 1, 0, 0, 0, 3, (byte)'g', (byte)'e', (byte)'t', 0, 0, 0, 1];
    private static readonly byte[] CompactCall = [0x82, 0x21, 1, 3, (byte)'g', (byte)'e', (byte)'t'];

    private readonly FakeNode _node = new();
    private readonly PeerTransport _transport = new(new NodeId(1), [new NodeEntry(new NodeId(1), "a", "127.0.0.1:1")]);
    private readonly IConnectionProtocol[] _protocols;

    public ThriftFirstBytesTests() => _protocols =
    [
        new PeerProtocol(_transport), new RespProtocol(_node), new JsonLinesProtocol(_node), .. ThriftProtocol.Both(_node),
    ];

    public void Dispose()
    {
        _transport.Dispose();
        _node.Dispose();
    }

    [Theory]
    [InlineData(1)]
    [InlineData(15)]
    [InlineData(0x0A0D2A7B)]
    [InlineData(0x00202020)]
    [InlineData(0x00474554)]
    [InlineData(0x007B2422)]
    [InlineData(0x08FFFFFF)]
    public void A_frame_of_any_length_that_a_node_takes_is_thrift_once_six_bytes_are_there(int length)
    {
        bool isTaken = length >> 24 <= 8;
        foreach ((byte[] call, int expected) in new[] { (BinaryCall, Binary), (CompactCall, Compact) })
        {
            byte[] first = [.. new byte[4], .. call];
            BinaryPrimitives.WriteInt32BigEndian(first, length);
            for (int bytes = 1; bytes <= first.Length; bytes++)
            {
                FirstBytesVerdict verdict = FirstBytes.Judge(first.AsSpan(0, bytes), _protocols, out int other);
                if (isTaken)
                {
                    Assert.Equal(bytes < 6 ? FirstBytesVerdict.NeedMore : FirstBytesVerdict.Other, verdict);
                    Assert.Equal(bytes < 6 ? -1 : expected, other);
                }
                else
                {
                    Assert.False(other is Binary or Compact);
                }
            }
        }
    }

    [Fact]
    public void No_other_protocol_begins_as_a_frame_does_and_no_frame_as_another_protocol()
    {
        for (int first = 0; first <= byte.MaxValue; first++)
        {
            foreach (byte[] call in new[] { BinaryCall, CompactCall })
            {
                byte[] bytes = [(byte)first, 0x47, 0x50, 0x03, .. call];
                bool isThrift = _protocols[Binary].Matches(bytes, out _) || _protocols[Compact].Matches(bytes, out _);
                Assert.Equal(first <= 8, isThrift);
                Assert.False(isThrift && _protocols[..Binary].Any(p => p.Matches(bytes, out bool more) || more));
            }
        }
    }

    [Theory]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")]
    [InlineData("GET / HTTP/1.1\r\n\x80\x01")]
    [InlineData("\x16\x03\x01\x02\x80\x01\x80\x01\x01\xfc\x03\x03")]
    [InlineData("\x16\x03\x01\0\x82\x21\x01\0")]
    [InlineData("\x80\x2e\x01\x03\x01\x80\x01")]
    [InlineData("*1\r\n\x80\x01\0\x01")]
    [InlineData("\r\n\r\n\x82\x21")]
    [InlineData("$4\r\n\x80\x01")]
    [InlineData("{\"a\"\x82\x21")]
    [InlineData("HGP\x03\x80\x01\0\x01")]
    [InlineData("\x80\x01\0\x01\0\0\0\x03get\0\0\0\x01\0")]
    [InlineData("\x82\x21\x01\x03get\0")]
    [InlineData("\0\0\0\x20\x80\x02\0\x01")]
    [InlineData("\0\0\0\x20\x82\x22\0\x01")]
    [InlineData("\0\0\0\x20\x0f\xff\0\0")]
    [InlineData("\0\0\0\x20[1,\"get\"")]
    public void What_is_not_framed_thrift_is_never_taken_for_it(string text)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(text);
        for (int length = 1; length <= bytes.Length; length++)
        {
            FirstBytes.Judge(bytes.AsSpan(0, length), _protocols, out int other);
            Assert.False(other is Binary or Compact, $"the first {length} bytes");
        }
    }

    [Fact]
    public async Task Who_is_refused_for_want_of_room_is_told_in_its_own_encoding()
    {
        foreach (ThriftProtocol protocol in _protocols[Binary..].Cast<ThriftProtocol>())
        {
            byte[] error = protocol.ErrorOf("there is no room");
            Assert.Equal(error.Length - 4, BinaryPrimitives.ReadInt32BigEndian(error));
            ThriftEncoding encoding = ReferenceEquals(protocol, _protocols[Compact]) ? ThriftEncoding.Compact : ThriftEncoding.Binary;
            using FrameInput input = new(new TConfiguration());
            input.Begin(new System.Buffers.ReadOnlySequence<byte>(error.AsMemory(4)));
            TProtocol reader = ThriftPeer.ProtocolOver(encoding, input);
            Assert.Equal(
                TMessageType.Exception,
                (await reader.ReadMessageBeginAsync(TestContext.Current.CancellationToken)).Type);
            TApplicationException problem =
                await TApplicationException.ReadAsync(reader, TestContext.Current.CancellationToken);
            Assert.Equal("there is no room", problem.Message);
        }
    }
}

using System.Text;
using Henge.Server.Ports;
using Microsoft.AspNetCore.Connections;

namespace Henge.Server.Tests.Ports;

public sealed class FirstBytesTests
{
    [Theory]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", nameof(FirstBytesVerdict.Http2))]
    [InlineData("PRI * HTTP/2.", nameof(FirstBytesVerdict.NeedMore))]
    [InlineData("P", nameof(FirstBytesVerdict.NeedMore))]
    [InlineData("GET / HTTP/1.1\r\n", nameof(FirstBytesVerdict.Http1))]
    [InlineData("GET /a/long/path?with=query HTTP/1.0\r\n", nameof(FirstBytesVerdict.Http1))]
    [InlineData("OPTIONS * HTTP/1.1\r\n", nameof(FirstBytesVerdict.Http1))]
    [InlineData("POST /x HTTP/1.1", nameof(FirstBytesVerdict.NeedMore))]
    [InlineData("DEL", nameof(FirstBytesVerdict.NeedMore))]
    [InlineData("GET key\r\n", nameof(FirstBytesVerdict.Other))]
    [InlineData("GET /looks/like/a/path\r\n", nameof(FirstBytesVerdict.Other))]
    [InlineData("DELETE", nameof(FirstBytesVerdict.NeedMore))]
    [InlineData("\0\0", nameof(FirstBytesVerdict.Unknown))]
    public void First_bytes_say_what_a_connection_speaks(string first, string expected)
    {
        FirstBytesVerdict verdict = FirstBytes.Judge(Encoding.ASCII.GetBytes(first), [new Words()], out int other);
        Assert.Equal(Enum.Parse<FirstBytesVerdict>(expected), verdict);
        Assert.Equal(verdict == FirstBytesVerdict.Other ? 0 : -1, other);
    }

    [Fact]
    public void A_request_line_longer_than_what_is_looked_at_is_http()
    {
        string first = "GET /" + new string('x', PortLimits.SniffBytes);
        Assert.Equal(FirstBytesVerdict.Http1, FirstBytes.Judge(Encoding.ASCII.GetBytes(first[..PortLimits.SniffBytes]), [], out _));
    }

    [Fact]
    public void Nothing_is_waited_for_behind_the_bound()
    {
        byte[] first = new byte[PortLimits.SniffBytes];
        Array.Fill(first, (byte)'x');
        Assert.Equal(FirstBytesVerdict.Unknown, FirstBytes.Judge(first, [new Undecided()], out _));
        Assert.Equal(FirstBytesVerdict.NeedMore, FirstBytes.Judge(first.AsSpan(1), [new Undecided()], out _));
    }

    [Fact]
    public void More_bytes_never_change_a_decision()
    {
        Random random = new(3);
        string[] streams =
        [
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "GET key\r\n",
            "PUT /v1/kv/k HTTP/1.1\r\n",
            "PING\r\n",
            "DELETE /x HTTP/1.1\r\n",
        ];
        foreach (string stream in streams)
        {
            byte[] bytes = Encoding.ASCII.GetBytes(stream + new string((char)random.Next(32, 127), 30));
            FirstBytesVerdict decided = FirstBytesVerdict.NeedMore;
            for (int length = 1; length <= bytes.Length; length++)
            {
                FirstBytesVerdict verdict = FirstBytes.Judge(bytes.AsSpan(0, length), [new Words()], out _);
                Assert.True(
                    decided == FirstBytesVerdict.NeedMore || verdict == decided,
                    $"{stream[..Math.Min(length, stream.Length)]}: {decided} became {verdict}");
                decided = verdict;
            }

            Assert.NotEqual(FirstBytesVerdict.NeedMore, decided);
        }
    }

    /// <summary>A word and then a line end, as inline commands are.</summary>
    private sealed class Words : IConnectionProtocol
    {
        public string Name => "words";

        public bool Matches(ReadOnlySpan<byte> first, out bool needMore)
        {
            int end = first.IndexOf((byte)'\n');
            ReadOnlySpan<byte> line = end < 0 ? first : first[..end];
            bool good = char.IsAsciiLetter((char)first[0]) && line.IndexOfAnyExceptInRange((byte)'\r', (byte)'~') < 0;
            needMore = good && end < 0;
            return good && end >= 0;
        }

        public Task RunAsync(ConnectionContext connection) => Task.CompletedTask;
    }

    private sealed class Undecided : IConnectionProtocol
    {
        public string Name => "undecided";

        public bool Matches(ReadOnlySpan<byte> first, out bool needMore)
        {
            needMore = true;
            return false;
        }

        public Task RunAsync(ConnectionContext connection) => Task.CompletedTask;
    }
}

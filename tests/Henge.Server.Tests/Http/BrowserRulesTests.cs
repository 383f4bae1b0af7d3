using System.Net.Sockets;
using System.Text;
using Henge.Server.Tests.Access;

namespace Henge.Server.Tests.Http;

/// <summary>What a page of another site gets from a node on this machine.</summary>
public sealed class BrowserRulesTests : IAsyncLifetime
{
    private GuardedHost _host = null!;

    public async ValueTask InitializeAsync() => _host = await GuardedHost.StartAsync(enable: false);

    public async ValueTask DisposeAsync() => await _host.DisposeAsync();

    [Theory]
    [InlineData("localhost:{port}", null, 200)]
    [InlineData("127.0.0.1:{port}", null, 200)]
    [InlineData("[::1]:{port}", null, 200)]
    [InlineData("localhost:{port}", "http://localhost:{port}", 200)]
    [InlineData("127.0.0.1:{port}", "http://127.0.0.1:{port}", 200)]
    [InlineData("localhost:{port}", "http://evil.example", 403)]
    [InlineData("localhost:{port}", "http://localhost:1", 403)]
    [InlineData("localhost:{port}", "null", 403)]
    [InlineData("evil.example:{port}", null, 403)]
    [InlineData("evil.example:{port}", "http://evil.example:{port}", 403)]
    [InlineData("127.0.0.1.evil.example:{port}", null, 403)]
    public async Task Only_its_own_pages_and_programs_get_an_answer(string host, string? origin, int status)
    {
        string port = _host.Host.Server.EndPoint.Port.ToString(System.Globalization.CultureInfo.InvariantCulture);
        foreach (string line in (string[])["PUT /v1/kv/a HTTP/1.1", "DELETE /v1/kv/a HTTP/1.1", "GET /metrics HTTP/1.1"])
        {
            string request = $"{line}\r\nHost: {host}\r\n" + (origin is null ? "" : $"Origin: {origin}\r\n")
                + "Connection: close\r\nContent-Length: 0\r\n\r\n";
            string answer = await AnswerAsync(request.Replace("{port}", port, StringComparison.Ordinal));
            int said = int.Parse(answer.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
            Assert.True(status == 200 ? said is 200 or 404 : said == status, $"{line}: {answer}");
            Assert.DoesNotContain("Access-Control", answer, StringComparison.OrdinalIgnoreCase);
        }
    }

    private async Task<string> AnswerAsync(string request)
    {
        using TcpClient client = new();
        await client.ConnectAsync(_host.Host.Server.EndPoint);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request));
        using StreamReader reader = new(stream);
        return await reader.ReadToEndAsync();
    }
}

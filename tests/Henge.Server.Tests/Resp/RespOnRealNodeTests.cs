using System.Net.Sockets;
using System.Text;
using Henge.Node.Hosting;

namespace Henge.Server.Tests.Resp;

/// <summary>What needs the real state machine behind the RESP door. (The comparison with a real Redis is in eng/interop-resp.sh.)</summary>
public sealed class RespOnRealNodeTests
{
    [Fact]
    public Task What_the_state_machine_refuses_is_told_in_Redis_words() => ExpectAsync(
        "SET k text\r\nINCR k\r\nINCRBYFLOAT k 1\r\nINCRBYFLOAT k -inf\r\nSET k 9223372036854775807\r\nINCR k\r\n",
        "+OK",
        "-ERR value is not an integer or out of range",
        "-ERR value is not a valid float",
        "-ERR increment would produce NaN or Infinity",
        "+OK",
        "-ERR increment or decrement would overflow");

    [Fact]
    public Task Conditions_of_EXPIRE_may_stand_together_where_they_make_sense() => ExpectAsync(
        "SET k v EX 100\r\nEXPIRE k 200 XX GT\r\nEXPIRE k 100 XX GT\r\nEXPIRE k 100 GT LT\r\nEXPIRE k 100 NX XX\r\nEXPIRE k 1 XX LT\r\n",
        "+OK",
        ":1",
        ":0",
        "-ERR GT and LT options at the same time are not compatible",
        "-ERR NX and XX, GT or LT options at the same time are not compatible",
        "-ERR XX and LT at the same time are not supported by Henge");

    [Fact]
    public Task Who_unsubscribes_at_once_is_answered_and_stays_connected()
    {
        const int Times = 300;
        string[] lines = ["*3", "$10", "psubscribe", "$18", "__keyspace@0__:q:*", ":1", "*3", "$12", "punsubscribe", "$18", "__keyspace@0__:q:*", ":0"];
        return ExpectAsync(
            string.Concat(Enumerable.Repeat("PSUBSCRIBE __keyspace@0__:q:*\r\nPUNSUBSCRIBE __keyspace@0__:q:*\r\n", Times)) + "PING\r\n",
            [.. Enumerable.Repeat(lines, Times).SelectMany(static l => l), "+PONG"]);
    }

    private static async Task ExpectAsync(string request, params string[] lines)
    {
        string directory = Path.Combine(Path.GetTempPath(), "henge-resp-" + Guid.NewGuid().ToString("N"));
        try
        {
            await using HengeHost host = await HengeHost.StartAsync(
                new ServerOptions { Node = new NodeOptions { Name = "alone", DataDirectory = directory, Shards = 2 }, Door = new DoorOptions { Address = "127.0.0.1:0" } },
                cancellationToken: TestContext.Current.CancellationToken);
            using TcpClient client = new();
            await client.ConnectAsync(host.Server.EndPoint);
            NetworkStream stream = client.GetStream();
            await stream.WriteAsync(Encoding.UTF8.GetBytes(request));
            client.Client.Shutdown(SocketShutdown.Send);
            using StreamReader reader = new(stream);
            Assert.Equal(string.Join("\r\n", lines) + "\r\n", await reader.ReadToEndAsync());
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }
}

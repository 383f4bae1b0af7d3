using System.Net.Sockets;
using System.Text;
using Henge.Node.Context;
using Henge.Server.Hosting;
using Henge.Server.Tests.Grpc;

namespace Henge.Server.Tests.Fakes;

/// <summary>A whole node of its own for one test, with all its doors, on the real state machine and on disk.</summary>
internal static class RealNode
{
    /// <summary>Starts one, and takes it and its files away again.</summary>
    public static async Task RunAsync(Func<HengeHost, Task> test)
    {
        string directory = Path.Combine(Path.GetTempPath(), "henge-one-node-" + Guid.NewGuid().ToString("N"));
        try
        {
            await using HengeHost host = await HengeHost.StartAsync(
                new ServerOptions
                {
                    Node = new NodeOptions
                    {
                        Name = "alone",
                        DataDirectory = directory,
                        Shards = 2,
                    },
                    Door = new DoorOptions { Address = "127.0.0.1:0" },
                },
                cancellationToken: TestContext.Current.CancellationToken);
            await GrpcRulesTests.Until(() => ReadinessMonitor.FindProblem(host.Node) is null);
            await test(host);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>Sends RESP to a node and expects these lines, and then the end.</summary>
    public static Task ExpectAsync(string request, params string[] lines) => RunAsync(async host =>
    {
        using TcpClient client = new();
        await client.ConnectAsync(host.Server.EndPoint);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.UTF8.GetBytes(request));
        client.Client.Shutdown(SocketShutdown.Send);
        using StreamReader reader = new(stream);
        Assert.Equal(string.Join("\r\n", lines) + "\r\n", await reader.ReadToEndAsync());
    });
}

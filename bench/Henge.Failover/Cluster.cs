using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Henge.Client;
using Henge.Core;
using Henge.EndToEnd.Tests.Harness;
using Wire = Henge.Protocol.V1;

namespace Henge.Failover;

/// <summary>Three nodes on this machine's loopback, with default settings but for memory; removed with their data at the end.</summary>
internal sealed class Cluster : IAsyncDisposable
{
    public const int Nodes = 3;

    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(2) };
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("henge-failover-");
    private readonly HengeProcess?[] _processes = new HengeProcess?[Nodes];
    private readonly CancellationToken _cancel;

    public Cluster(int shards, CancellationToken cancel)
    {
        Shards = shards;
        _cancel = cancel;
        int port = 20_000 + Random.Shared.Next(10_000);
        Addresses =
        [
            .. Enumerable
                .Range(0, Nodes)
                .Select(_ => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port = FreePort(port + 1)}")),
        ];
        Client = NewClient();
    }

    public int Shards { get; }

    public IReadOnlyList<string> Addresses { get; }

    /// <summary>A client with default settings, which lives as long as the cluster.</summary>
    public HengeClient Client { get; }

    public static string NameOf(int node) => string.Create(CultureInfo.InvariantCulture, $"n{node + 1}");

    public HengeClient NewClient() => new(new HengeClientOptions { Peers = [.. Addresses], DefaultDeadline = TimeSpan.FromSeconds(30) });

    public async Task StartAsync()
    {
        for (int node = 0; node < Nodes; node++)
        {
            Start(node);
        }

        await WaitReadyAsync();
    }

    public void Start(int node)
    {
        _processes[node]?.Dispose();
        _processes[node] = HengeProcess.Start(
            "serve",
            "--node-id",
            NameOf(node),
            "--addr",
            Addresses[node],
            "--data-dir",
            Path.Combine(_directory.FullName, NameOf(node)),
            "--memory",
            "64MiB",
            "--shards",
            Shards.ToString(CultureInfo.InvariantCulture),
            "--cluster",
            string.Join(',', Enumerable.Range(0, Nodes).Select(n => $"{NameOf(n)}={Addresses[n]}")));
    }

    /// <summary>Ends a node as kill -9 does; returns when it is gone.</summary>
    public void Kill(int node) => _processes[node]!.Kill();

    /// <summary>Waits until every node serves every shard.</summary>
    public async Task WaitReadyAsync()
    {
        for (int node = 0; node < Nodes; node++)
        {
            while (!await IsReadyAsync(node))
            {
                if (_processes[node]!.HasExited)
                {
                    throw new InvalidOperationException($"{NameOf(node)} has ended:\n{_processes[node]!.Printed}");
                }

                await Task.Delay(25, _cancel);
            }
        }
    }

    /// <summary>The leader of each shard by what one node knows; -1 for none.</summary>
    public async Task<int[]> LeadersAsync()
    {
        Wire.TopologyResponse topology = await Client.TopologyAsync(cancellationToken: _cancel);
        return
        [
            .. topology
                .Shards.OrderBy(static s => s.Shard)
                .Select(static s => s.LeaderId.Length == 0 ? -1 : int.Parse(s.LeaderId[1..], CultureInfo.InvariantCulture) - 1),
        ];
    }

    /// <summary>How long the latest elections took that a node won; nothing when it does not answer.</summary>
    public async Task<Wire.ElectionStatus> ElectionsAsync(int node)
    {
        try
        {
            return (await Client.NodeStatusAsync(Addresses[node], _cancel)).Elections;
        }
        catch (HengeException)
        {
            return new Wire.ElectionStatus();
        }
    }

    public ValueTask DisposeAsync()
    {
        Client.Dispose();
        foreach (HengeProcess? process in _processes)
        {
            process?.Dispose();
        }

        _directory.Delete(recursive: true);
        return ValueTask.CompletedTask;
    }

    private async Task<bool> IsReadyAsync(int node)
    {
        try
        {
            using HttpResponseMessage answer = await Http.GetAsync(new Uri($"http://{Addresses[node]}/readyz"), _cancel);
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (Exception e) when (e is HttpRequestException || (e is TaskCanceledException && !_cancel.IsCancellationRequested))
        {
            return false;
        }
    }

    private static int FreePort(int port)
    {
        for (; ; port++)
        {
            try
            {
                using TcpListener probe = new(IPAddress.Loopback, port);
                probe.Start();
                return port;
            }
            catch (SocketException e) when (e.SocketErrorCode is SocketError.AddressAlreadyInUse or SocketError.AccessDenied)
            {
                continue;
            }
        }
    }
}

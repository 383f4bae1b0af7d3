using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Henge.Client;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.EndToEnd.Tests.Harness;

/// <summary>A cluster of processes on this machine, whose data is removed with it. Nodes count from 0.</summary>
public sealed class ClusterProcesses : IAsyncDisposable
{
    /// <summary>Shards of each cluster: enough for several leaders, few enough for small machines.</summary>
    public const int Shards = 4;

    private static int _nextPort = 20_000 + Random.Shared.Next(10_000);

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("henge-e2e-");
    private readonly HengeProcess?[] _processes;
    private readonly CancellationToken _cancel;
    private readonly VirtualNetwork? _network;
    private readonly int _replicas;
    private readonly Dictionary<int, (string Name, string Value)[]> _environment = [];
    private readonly Certificates? _certificates;
    private readonly HttpClient _http;

    /// <summary>Chooses addresses; starts nothing.</summary>
    /// <param name="nodes">How many nodes.</param>
    /// <param name="cancel">Ends every wait.</param>
    /// <param name="network">Where the nodes live; null: on this machine's loopback.</param>
    /// <param name="replicas">The replication factor; null: as many as there are nodes.</param>
    /// <param name="certificates">What the nodes and their clients speak TLS by; null: they do not.</param>
    public ClusterProcesses(
        int nodes,
        CancellationToken cancel,
        VirtualNetwork? network = null,
        int? replicas = null,
        Certificates? certificates = null)
    {
        _certificates = certificates;
        SocketsHttpHandler handler = new() { PooledConnectionLifetime = TimeSpan.FromMinutes(1) };
        if (certificates is not null)
        {
            handler.SslOptions = certificates.ForClient();
        }

        _http = new HttpClient(handler) { Timeout = TimeSpan.FromSeconds(2) };
        _replicas = replicas ?? nodes;
        _processes = new HengeProcess?[nodes];
        _cancel = cancel;
        _network = network;
        Addresses =
            network?.Addresses
            ?? [.. Enumerable.Range(0, nodes).Select(_ => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{FreePort()}"))];
    }

    /// <summary>Where the nodes listen.</summary>
    public IReadOnlyList<string> Addresses { get; }

    /// <summary>Memory of each node's engine.</summary>
    public string Memory { get; init; } = "64MiB";

    /// <summary>Settings of all nodes, beyond the usual ones, as on the command line.</summary>
    public IReadOnlyList<string> Settings { get; set; } = [];

    /// <summary>All nodes.</summary>
    public IEnumerable<int> All => Enumerable.Range(0, _processes.Length);

    /// <summary>A node's data directory.</summary>
    public string DataDirectory(int node) => Path.Combine(_directory.FullName, NameOf(node));

    /// <summary>The process of a node that has been started.</summary>
    public HengeProcess this[int node] => _processes[node] ?? throw new InvalidOperationException($"Node {node} has not been started.");

    /// <summary>The command line of a node, with other settings behind.</summary>
    public string[] ArgumentsOf(int node, params string[] more)
    {
        string members = string.Join(',', All.Select(n => $"{NameOf(n)}={Addresses[n]}"));
        return
        [
            "serve",
            "--node-id",
            NameOf(node),
            "--addr",
            Addresses[node],
            "--data-dir",
            DataDirectory(node),
            "--shards",
            Shards.ToString(CultureInfo.InvariantCulture),
            "--replication-factor",
            _replicas.ToString(CultureInfo.InvariantCulture),
            "--memory",
            Memory,
            .. (_processes.Length > 1 ? new[] { "--cluster", members } : []),
            .. _certificates?.ArgumentsOf(NameOf(node)) ?? [],

            // The nodes of a network of their own listen where only they and the tests are.
            .. (_network is not null && _certificates is null ? new[] { "--insecure" } : []),
            .. Settings,
            .. more,
        ];
    }

    /// <summary>The command line of a node that is not one of these, and joins or has joined them.</summary>
    public string[] Joining(string name, string address, params string[] more) =>
    [
        "serve",
        "--node-id",
        name,
        "--addr",
        address,
        "--data-dir",
        Path.Combine(_directory.FullName, "joined-" + name),
        "--memory",
        "64MiB",
        .. _certificates?.ArgumentsOf(name) ?? [],
        .. more,
    ];

    /// <summary>Has a node start with a wall clock that is off from then on.</summary>
    public void PutClockOff(int node, TimeSpan ahead) =>
        _environment[node] = [("TESTING_HENGE_CLOCK_OFFSET_MS", ((long)ahead.TotalMilliseconds).ToString(CultureInfo.InvariantCulture))];

    /// <summary>Starts nodes, without waiting for them.</summary>
    public void Start(params IEnumerable<int> nodes)
    {
        foreach (int node in nodes)
        {
            _processes[node]?.Dispose();
            _processes[node] = HengeProcess.StartUnder(
                _network?.CommandOf(node) ?? [],
                ArgumentsOf(node),
                _environment.GetValueOrDefault(node, []));
        }
    }

    /// <summary>Ends nodes at once.</summary>
    public void Kill(params IEnumerable<int> nodes)
    {
        foreach (int node in nodes)
        {
            this[node].Kill();
        }
    }

    /// <summary>Waits until nodes say that they serve every shard.</summary>
    public async Task WaitReadyAsync(params IEnumerable<int> nodes)
    {
        foreach (int node in nodes)
        {
            await UntilAsync($"{NameOf(node)} is ready", () => IsReadyAsync(node));
        }
    }

    /// <summary>Starts all nodes and waits until they serve.</summary>
    public async Task StartAllAsync()
    {
        Start(All);
        await WaitReadyAsync(All);
    }

    /// <summary>Whether a node says that it serves every shard.</summary>
    public Task<bool> IsReadyAsync(int node) => AnswersAsync(node, "/readyz");

    /// <summary>Whether a node answers at all.</summary>
    public Task<bool> IsAliveAsync(int node) => AnswersAsync(node, "/healthz");

    /// <summary>Looks again and again until something holds; the test's time limit bounds it.</summary>
    public Task UntilAsync(string what, Func<Task<bool>> holds) => UntilAsync(() => what, holds);

    /// <summary>As the other one, for what is only known in the end.</summary>
    public async Task UntilAsync(Func<string> what, Func<Task<bool>> holds)
    {
        using PeriodicTimer timer = new(TimeSpan.FromMilliseconds(25));
        try
        {
            while (!await holds())
            {
                await timer.WaitForNextTickAsync(_cancel);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or TimeoutException && _cancel.IsCancellationRequested)
        {
            throw new TimeoutException($"The time is up, and still it is not so that {what()}.\n{Report()}");
        }
    }

    /// <summary>A client of these nodes; all when none is named.</summary>
    public HengeClient Client(HengeClientOptions? options = null, params int[] nodes)
    {
        options ??= new HengeClientOptions();
        options.Tls ??= _certificates?.ForClient();
        options.Peers = [.. (nodes.Length == 0 ? All : nodes).Select(n => Addresses[n])];
        return new HengeClient(options);
    }

    /// <summary>The shard of a key.</summary>
    public static int ShardOf(string key) => (int)new ShardMap(Shards).ShardOf(System.Text.Encoding.UTF8.GetBytes(key)).Value;

    /// <summary>Waits until one of these nodes leads a key's shard, says so itself, and all of them agree; gives it.</summary>
    public async Task<int> LeaderAsync(string key, params int[] nodes)
    {
        int[] asked = nodes.Length == 0 ? [.. All] : nodes;
        int leader = -1;
        using HengeClient client = Client(new HengeClientOptions { RouteToLeaders = false, DefaultDeadline = TimeSpan.FromSeconds(2) },
            asked);
        await UntilAsync($"the nodes {string.Join(", ", asked.Select(NameOf))} agree on one of them as the leader of {key}", async () =>
        {
            HashSet<string> told = [];
            foreach (int node in asked)
            {
                try
                {
                    Wire.TopologyResponse topology = await client.TopologyAsync(Addresses[node], _cancel);
                    told.Add(topology.Shards.First(s => s.Shard == ShardOf(key)).LeaderId);
                }
                catch (HengeException)
                {
                    return false;
                }
            }

            leader = told.Count == 1 ? Array.FindIndex([.. All], n => NameOf(n) == told.First()) : -1;
            return asked.Contains(leader);
        });
        return leader;
    }

    /// <summary>A node's state.</summary>
    public async Task<Wire.StatusResponse> StatusAsync(int node)
    {
        using HengeClient client = Client(new HengeClientOptions { RouteToLeaders = false }, node);
        return await client.NodeStatusAsync(Addresses[node], _cancel);
    }

    /// <summary>Waits until all nodes have applied everything that any has.</summary>
    public Task WaitEqualAsync() =>
        UntilAsync(
            "all nodes have applied the same",
            async () =>
            {
                List<string> states = [];
                foreach (int node in All)
                {
                    Wire.StatusResponse status = await StatusAsync(node);
                    states.Add(
                        string.Join(
                            ' ',
                            status.Shards.OrderBy(static s => s.Shard).Select(static s => $"{s.Shard}:{s.AppliedIndex}={s.LastIndex}")));
                }

                return states.Distinct().Count() == 1;
            });

    /// <summary>Where a node answers a path.</summary>
    public Uri UriOf(int node, string path) => new($"{(_certificates is null ? "http" : "https")}://{Addresses[node]}{path}");

    /// <summary>What a node answers to a request of a path.</summary>
    public Task<string> GetTextAsync(int node, string path) => _http.GetStringAsync(UriOf(node, path), _cancel);

    /// <summary>What the nodes have printed, for messages of failures.</summary>
    public string Report() =>
        string.Join(
            '\n',
            All.Where(n => _processes[n] is not null)
                .Select(n => $"--- {NameOf(n)} ({(this[n].HasExited ? "ended" : "runs")})\n{this[n].Printed}"));

    /// <summary>Ends all nodes, leaves what they printed with the test, and removes their data.</summary>
    public ValueTask DisposeAsync()
    {
        // Whether the test has failed is not known yet; runners show this when it has.
        TestContext.Current.TestOutputHelper?.WriteLine(Report());
        foreach (HengeProcess? process in _processes)
        {
            process?.Dispose();
        }

        _http.Dispose();
        _directory.Delete(recursive: true);
        return ValueTask.CompletedTask;
    }

    private async Task<bool> AnswersAsync(int node, string path)
    {
        if (this[node].HasExited)
        {
            throw new InvalidOperationException($"{NameOf(node)} has ended.\n{Report()}");
        }

        try
        {
            using HttpResponseMessage answer = await _http.GetAsync(UriOf(node, path), _cancel);
            return answer.StatusCode == HttpStatusCode.OK;
        }
        catch (Exception e)
            when (e is HttpRequestException or SocketException || (e is TaskCanceledException && !_cancel.IsCancellationRequested))
        {
            return false;
        }
    }

    /// <summary>
    /// A port that nobody listens on, below those that systems give to outgoing connections: a node that is down for a while must find it
    /// free again.
    /// </summary>
    public static int FreePort() => FreePorts(1);

    /// <summary>The first of several such ports that follow each other. None of them is given to anybody else in this process.</summary>
    public static int FreePorts(int count)
    {
        while (true)
        {
            int first = Interlocked.Add(ref _nextPort, count) - count + 1;
            if (Enumerable.Range(first, count).All(IsFree))
            {
                return first;
            }
        }
    }

    private static bool IsFree(int port)
    {
        try
        {
            using TcpListener probe = new(IPAddress.Loopback, port);
            probe.Start();
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.AddressAlreadyInUse or SocketError.AccessDenied)
        {
            return false;
        }
    }

    /// <summary>An address of this machine with such a port.</summary>
    public static string FreeAddress() => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{FreePort()}");

    /// <summary>A node's name.</summary>
    public static string NameOf(int node) => string.Create(CultureInfo.InvariantCulture, $"n{node + 1}");
}

using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Henge.Cli.Context;
using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;
using Henge.Core;
using Henge.Node.Context;
using Henge.Storage.Files;

namespace Henge.Tool.Dev;

/// <summary>
/// The nodes of <c>henge dev</c>: child processes with a log file each. Ends them when it ends, and no process that it did not start. A
/// node that ends is reported and not restarted, so that a user can see what a cluster does without it.
/// </summary>
internal sealed class DevCluster(
    CliContext context,
    int count,
    int firstPort,
    string dataDirectory,
    string[] settings,
    DevCertificates? certificates)
{
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(30);

    private const int MostNodes = 64;

    private readonly Lock _gate = new();
    private readonly List<DevNode> _nodes = [];

    // Done when a node was added since it was made.
    private TaskCompletionSource _added = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private string Peers => string.Join(',', Enumerable.Range(0, count).Select(AddressOf));

    private DevNode[] Running
    {
        get
        {
            lock (_gate)
            {
                return [.. _nodes.Where(static n => !n.HasExited)];
            }
        }
    }

    /// <summary>Runs until cancelled, or until no node is left. Returns the exit code.</summary>
    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        CheckPorts();
        CheckData();
        Directory.CreateDirectory(dataDirectory);
        string cluster = string.Join(',', Enumerable.Range(0, count).Select(i => $"{NameOf(i)}={AddressOf(i)}"));
        try
        {
            for (int i = 0; i < count; i++)
            {
                Start(i, ["--cluster", cluster, .. settings]);
            }

            // Those that were added in an earlier run.
            foreach (int i in Added())
            {
                Start(i, ["--join", Peers, .. settings]);
            }

            bool ready = await WaitUntilReadyAsync(cancellationToken).ConfigureAwait(false);
            if (ready)
            {
                PrintIntroduction();
            }

            using CancellationTokenSource ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            Task requests = ServeRequestsAsync(ended.Token);
            try
            {
                return await WatchAsync(cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                await ended.CancelAsync().ConfigureAwait(false);
                await requests.ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Ctrl-C is how it is meant to end.
            return ExitCode.Ok;
        }
        finally
        {
            await StopAsync().ConfigureAwait(false);
        }
    }

    private DevNode Start(int index, string[] how)
    {
        string name = NameOf(index), address = AddressOf(index);
        string[] arguments =
            ["serve", "--node-id", name, "--addr", address, "--data-dir", Path.Combine(dataDirectory, name), .. how];
        DevNode node = DevNode.Start(name, address, arguments, Path.Combine(dataDirectory, name + ".log"));
        lock (_gate)
        {
            _nodes.Add(node);
        }

        return node;
    }

    private IEnumerable<int> Added() =>
        Enumerable.Range(count, MostNodes - count)
            .Where(i => File.Exists(Path.Combine(dataDirectory, NameOf(i), IdentityFile.Name)));

    private async Task ServeRequestsAsync(CancellationToken cancellationToken)
    {
        try
        {
            await DevRequests.ServeAsync(dataDirectory, AddAsync, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // It ends with the cluster.
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            await context.Error.WriteLineAsync($"henge: henge dev add cannot reach this cluster: {e.Message}").ConfigureAwait(false);
        }
    }

    // A number that was used is not used again: its directory may be that of a node that has left.
    private async Task<DevNode> AddAsync(string[] itsSettings, CancellationToken cancellationToken)
    {
        int index = Enumerable
            .Range(count, MostNodes - count)
            .FirstOrDefault(i => !Directory.Exists(Path.Combine(dataDirectory, NameOf(i))));
        if (index == 0)
        {
            throw new UsageException($"There are as many nodes in {dataDirectory} as henge dev starts, {MostNodes}.");
        }

        if (IsTaken(index))
        {
            throw new UsageException($"Something else listens on {AddressOf(index)}, which the next node would have.");
        }

        string join = string.Join(',', Running.Select(static n => n.Address));
        DevNode node = Start(index, ["--join", join, .. settings, .. itsSettings]);
        lock (_gate)
        {
            _added.TrySetResult();
            _added = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        await WaitUntilItServesAsync(node, cancellationToken).ConfigureAwait(false);
        context.Output.WriteLine($"{node.Name}  {node.Address}  pid {node.Id}  has joined. Its log: {node.LogPath}");
        context.Output.Flush();
        return node;
    }

    private async Task WaitUntilItServesAsync(DevNode node, CancellationToken cancellationToken)
    {
        using HengeClient client = new(OptionsFor(node.Address));
        long start = context.Time.GetTimestamp();
        while (true)
        {
            if (node.HasExited)
            {
                await node.Exited.WaitAsync(cancellationToken).ConfigureAwait(false);
                throw new UsageException($"{node.Name} has ended {node.HowItEnded}: {node.LastLine() ?? $"see {node.LogPath}"}");
            }

            try
            {
                await client
                    .GetAsync("henge:dev", new GetOptions { Deadline = TimeSpan.FromSeconds(1) }, cancellationToken)
                    .ConfigureAwait(false);
                return;
            }
            catch (HengeException e)
            {
                if (context.Time.GetElapsedTime(start) > StartTimeout)
                {
                    throw new UsageException(
                        $"{node.Name} does not serve after {StartTimeout.TotalSeconds:0} s: {e.Message} It goes on trying; its log: "
                            + node.LogPath);
                }

                await Task.Delay(50, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private HengeClientOptions OptionsFor(string peers) => new()
    {
        Peers = peers.Split(','),
        RouteToLeaders = false,
        UseSessions = false,
        Tls = certificates?.ForClient(),
    };

    private static string NameOf(int index) => "node" + (index + 1).ToString(CultureInfo.InvariantCulture);

    private string AddressOf(int index) => "127.0.0.1:" + (firstPort + index).ToString(CultureInfo.InvariantCulture);

    private void CheckPorts()
    {
        // Those that were added count as the others do: without one of them, the cluster may have no majority.
        foreach (int i in Enumerable.Range(0, count).Concat(Added()))
        {
            if (IsTaken(i))
            {
                throw new UsageException(
                    $"Something listens on {AddressOf(i)} already (another henge dev?). Stop it, or choose other ports with --port.");
            }
        }
    }

    private bool IsTaken(int index)
    {
        try
        {
            using TcpListener listener = new(IPAddress.Loopback, firstPort + index);
            listener.Start();
            return false;
        }
        catch (SocketException)
        {
            return true;
        }
    }

    /// <summary>
    /// Refuses to run another number of nodes over a cluster's data: the list of members was fixed when the data was made.
    /// </summary>
    private void CheckData()
    {
        for (int i = 0; i < count; i++)
        {
            string directory = Path.Combine(dataDirectory, NameOf(i));
            if (IdentityFile.TryReadMembers(new PosixFileSystem(), directory) is { } members && members.Count != count)
            {
                throw new UsageException(
                    $"The data in {dataDirectory} is that of a cluster of {members.Count} ({string.Join(", ", members)}). "
                    + $"Run it with --nodes {members.Count}, or choose another directory with --data-dir.");
            }
        }
    }

    private async Task<bool> WaitUntilReadyAsync(CancellationToken cancellationToken)
    {
        using HengeClient client = new(OptionsFor(Peers));
        long start = context.Time.GetTimestamp();
        while (true)
        {
            // A node that refuses to start will not do better by waiting: it has said why.
            // One that has left its cluster ends in order, and is not waited for.
            if (_nodes.Find(static n => n.HasExited && !n.HasEndedInOrder) is { } ended)
            {
                await ended.Exited.WaitAsync(cancellationToken).ConfigureAwait(false);
                throw new UsageException(
                    $"{ended.Name} has ended {ended.HowItEnded} while the cluster started: {ended.LastLine() ?? $"see {ended.LogPath}"}");
            }

            try
            {
                // A read that is linearizable proves that there is a majority and a leader.
                await client
                    .GetAsync("henge:dev", new GetOptions { Deadline = TimeSpan.FromSeconds(1) }, cancellationToken)
                    .ConfigureAwait(false);
                return true;
            }
            catch (HengeException e)
            {
                if (context.Time.GetElapsedTime(start) > StartTimeout)
                {
                    await context
                        .Error.WriteLineAsync(
                            $"henge: the cluster is not ready after {StartTimeout.TotalSeconds:0} s: {e.Message} The logs are in "
                                + $"{dataDirectory}/*.log.")
                        .ConfigureAwait(false);
                    return false;
                }

                await Task.Delay(50, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private void PrintIntroduction()
    {
        OutputWriter output = context.Output;
        DevNode[] running = Running;
        output.WriteLine(running.Length == 1 ? "A node of Henge is ready:" : $"A cluster of {running.Length} nodes is ready:");
        foreach (DevNode node in running)
        {
            output.WriteLine(
                $"  {node.Name}  {node.Address}  pid {node.Id}  data {Path.Combine(dataDirectory, node.Name)}  log {node.LogPath}");
        }

        string henge = CommandName();
        output.WriteLine();
        output.WriteLine("Try in another terminal:");
        if (count > 1 || firstPort != 7001)
        {
            output.WriteLine($"  export HENGE_PEERS={Peers}");
        }

        if (certificates is not null)
        {
            output.WriteLine($"  {certificates.Exports}");
        }

        output.WriteLine($"  {henge} put user:1001 '{{\"name\":\"Alice\"}}'");
        output.WriteLine($"  {henge} get user:1001");
        output.WriteLine($"  {henge} watch --prefix user:");
        output.WriteLine($"  {henge} status --watch");
        if (count > 1)
        {
            output.WriteLine($"  kill -9 {running[0].Id}          # then read and write on: {count / 2 + 1} of {count} are enough");
        }

        output.WriteLine($"  {henge} dev add          # one node more; it takes its share: {henge} cluster moves --watch");

        output.WriteLine();
        output.WriteLine("Ctrl-C stops all nodes; the data stays.");
        output.Flush();
    }

    private async Task<int> WatchAsync(CancellationToken cancellationToken)
    {
        HashSet<DevNode> told = [];
        while (true)
        {
            DevNode[] running;
            Task added;
            lock (_gate)
            {
                running = [.. _nodes.Where(n => !told.Contains(n))];
                added = _added.Task;
            }

            if (running.Length == 0)
            {
                break;
            }

            Task[] exits = [.. running.Select(n => n.Exited), added];
            Task ended = await Task.WhenAny(exits).WaitAsync(cancellationToken).ConfigureAwait(false);
            if (ended == added)
            {
                continue;
            }

            DevNode node = running[Array.IndexOf(exits, ended)];
            told.Add(node);
            context.Output.WriteLine($"{node.Name} (pid {node.Id}) has ended {node.HowItEnded}. Its log: {node.LogPath}");
            context.Output.WriteLine(
                running.Length == 1 ? "No node is left."
                : node.HasEndedInOrder ? $"  {node.LastLine()}"
                : $"  start it again with: {CommandName()} {node.CommandLine}");
            context.Output.Flush();
        }

        return ExitCode.Internal;
    }

    private async Task StopAsync()
    {
        DevNode[] alive = Running;
        if (alive.Length > 0)
        {
            context.Output.WriteLine("Stopping ...");
            context.Output.Flush();
        }

        foreach (DevNode node in alive)
        {
            node.Terminate();
        }

        foreach (DevNode node in alive)
        {
            try
            {
                await node.Exited.WaitAsync(StopTimeout).ConfigureAwait(false);
            }
            catch (TimeoutException)
            {
                await context
                    .Error.WriteLineAsync(
                        $"henge: {node.Name} did not stop within {StopTimeout.TotalSeconds:0} s and is killed; nothing acknowledged is "
                            + $"lost by that.")
                    .ConfigureAwait(false);
                node.Kill();
            }
        }

        _nodes.ForEach(n => n.Dispose());
    }

    /// <summary>How the user called us: the script at the root when it is there, else the program.</summary>
    private static string CommandName() => File.Exists("henge") && !OperatingSystem.IsWindows() ? "./henge" : "henge";
}

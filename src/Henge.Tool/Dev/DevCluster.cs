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
internal sealed class DevCluster(CliContext context, int count, int firstPort, string dataDirectory, string[] settings)
{
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan StartTimeout = TimeSpan.FromSeconds(30);

    private readonly List<DevNode> _nodes = [];

    private string Peers => string.Join(',', Enumerable.Range(0, count).Select(AddressOf));

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
                string name = NameOf(i);
                string[] arguments =
                [
                    "serve",
                    "--node-id",
                    name,
                    "--addr",
                    AddressOf(i),
                    "--data-dir",
                    Path.Combine(dataDirectory, name),
                    "--cluster",
                    cluster,
                    .. settings,
                ];
                _nodes.Add(DevNode.Start(name, arguments, Path.Combine(dataDirectory, name + ".log")));
            }

            bool ready = await WaitUntilReadyAsync(cancellationToken).ConfigureAwait(false);
            if (ready)
            {
                PrintIntroduction();
            }

            return await WatchAsync(cancellationToken).ConfigureAwait(false);
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

    private static string NameOf(int index) => "node" + (index + 1).ToString(CultureInfo.InvariantCulture);

    private string AddressOf(int index) => "127.0.0.1:" + (firstPort + index).ToString(CultureInfo.InvariantCulture);

    private void CheckPorts()
    {
        for (int i = 0; i < count; i++)
        {
            try
            {
                using TcpListener listener = new(IPAddress.Loopback, firstPort + i);
                listener.Start();
            }
            catch (SocketException)
            {
                throw new UsageException(
                    $"Something listens on {AddressOf(i)} already (another henge dev?). Stop it, or choose other ports with --port.");
            }
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
        using HengeClient client = new(new HengeClientOptions { Peers = Peers.Split(','), RouteToLeaders = false, UseSessions = false });
        long start = context.Time.GetTimestamp();
        while (true)
        {
            // A node that refuses to start will not do better by waiting: it has said why.
            if (_nodes.Find(static n => n.HasExited) is { } ended)
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
        output.WriteLine(count == 1 ? "A node of Henge is ready:" : $"A cluster of {count} nodes is ready:");
        for (int i = 0; i < count; i++)
        {
            output.WriteLine(
                $"  {_nodes[i].Name}  {AddressOf(i)}  pid {_nodes[i].Id}  data {Path.Combine(dataDirectory, _nodes[i].Name)}  log "
                    + $"{_nodes[i].LogPath}");
        }

        string henge = CommandName();
        output.WriteLine();
        output.WriteLine("Try in another terminal:");
        if (count > 1 || firstPort != 7001)
        {
            output.WriteLine($"  export HENGE_PEERS={Peers}");
        }

        output.WriteLine($"  {henge} put user:1001 '{{\"name\":\"Alice\"}}'");
        output.WriteLine($"  {henge} get user:1001");
        output.WriteLine($"  {henge} watch --prefix user:");
        output.WriteLine($"  {henge} status --watch");
        if (count > 1)
        {
            output.WriteLine($"  kill -9 {_nodes[0].Id}          # then read and write on: {count / 2 + 1} of {count} are enough");
        }

        output.WriteLine();
        output.WriteLine("Ctrl-C stops all nodes; the data stays.");
        output.Flush();
    }

    private async Task<int> WatchAsync(CancellationToken cancellationToken)
    {
        List<DevNode> running = [.. _nodes];
        while (running.Count > 0)
        {
            Task[] exits = [.. running.Select(n => n.Exited)];
            Task ended = await Task.WhenAny(exits).WaitAsync(cancellationToken).ConfigureAwait(false);
            DevNode node = running[Array.IndexOf(exits, ended)];
            running.Remove(node);
            context.Output.WriteLine($"{node.Name} (pid {node.Id}) has ended {node.HowItEnded}. Its log: {node.LogPath}");
            context.Output.WriteLine(running.Count > 0 ? $"  start it again with: {CommandName()} {node.CommandLine}" : "No node is left.");
            context.Output.Flush();
        }

        return ExitCode.Internal;
    }

    private async Task StopAsync()
    {
        DevNode[] alive = [.. _nodes.Where(n => !n.HasExited)];
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

using System.Diagnostics;
using System.Globalization;

namespace Henge.EndToEnd.Tests.Harness;

/// <summary>
/// A network of this machine's own: a network namespace for each node, all on one bridge, which the tests' process is on as well and can
/// always reach. What a node sends to another can be lost, one way or both, without a sign to either: as by a switch that broke, not by a
/// host that refuses. Linux, and only for root. Not thread-safe.
/// </summary>
public sealed class VirtualNetwork : IDisposable
{
    /// <summary>The port of each node.</summary>
    private const int Port = 7001;

    private const string Prefix = "hge";

    // An address that no device of this network has: what is sent there reaches nobody.
    private const string Nowhere = "02:00:00:00:00:01";

    private static int _made;

    private readonly string _name;
    private readonly string _subnet;
    private readonly int _nodes;
    private readonly HashSet<(int From, int To)> _cuts = [];

    /// <summary>Makes the network.</summary>
    public VirtualNetwork(int nodes)
    {
        RemoveLeftovers();
        int number = Interlocked.Increment(ref _made);
        _name = string.Create(CultureInfo.InvariantCulture, $"{Prefix}{Environment.ProcessId}x{number}");
        _nodes = nodes;

        // RFC 2544's addresses, which no real network has. Two runs of the tests at a time may draw the same; the second then fails to make
        // it.
        int subnet = ((Environment.ProcessId * 7) + number) & 511;
        _subnet = string.Create(CultureInfo.InvariantCulture, $"198.{18 + (subnet >> 8)}.{subnet & 255}");
        Addresses = [.. Enumerable.Range(0, nodes).Select(n => string.Create(CultureInfo.InvariantCulture, $"{HostOf(n)}:{Port}"))];
        try
        {
            Make();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Why there can be no such network here; null when there can.</summary>
    public static string? Obstacle { get; } =
        !OperatingSystem.IsLinux() ? "Network namespaces are Linux's."
        : !Environment.IsPrivilegedProcess ? "Making network namespaces needs root."
        : TryRun(["netns", "list"]) is { } error
            ? $"Network namespaces need the command ip (package iproute2) to work, and it does not: {error}"
        : null;

    /// <summary>Where the nodes listen.</summary>
    public IReadOnlyList<string> Addresses { get; }

    /// <summary>What starts a command in a node's namespace; stands before the command.</summary>
    public string[] CommandOf(int node) => ["ip", "netns", "exec", NamespaceOf(node)];

    /// <summary>Loses whatever one node sends to another.</summary>
    public void Cut(int from, int to)
    {
        if (from != to && _cuts.Add((from, to)))
        {
            Run("-n", NamespaceOf(from), "neigh", "replace", HostOf(to), "lladdr", Nowhere, "dev", "eth0", "nud", "permanent");
        }
    }

    /// <summary>Cuts all connections between two sets of nodes.</summary>
    public void Split(IReadOnlyCollection<int> one, IReadOnlyCollection<int> other)
    {
        foreach (int a in one)
        {
            foreach (int b in other)
            {
                Cut(a, b);
                Cut(b, a);
            }
        }
    }

    /// <summary>Loses nothing any more.</summary>
    public void Heal()
    {
        foreach ((int from, int to) in _cuts)
        {
            Run("-n", NamespaceOf(from), "neigh", "del", HostOf(to), "dev", "eth0");
        }

        _cuts.Clear();
    }

    /// <summary>Removes it; the processes in it must have ended.</summary>
    public void Dispose() => Remove(_name, _nodes);

    private void Make()
    {
        Run("link", "add", _name, "type", "bridge");
        Run("addr", "add", _subnet + ".254/24", "dev", _name);
        Run("link", "set", _name, "up");
        for (int node = 0; node < _nodes; node++)
        {
            string space = NamespaceOf(node);
            Run("netns", "add", space);
            Run("link", "add", space, "type", "veth", "peer", "name", "eth0", "netns", space);
            Run("link", "set", space, "master", _name, "up");
            Run("-n", space, "addr", "add", HostOf(node) + "/24", "dev", "eth0");
            Run("-n", space, "link", "set", "eth0", "up");
            Run("-n", space, "link", "set", "lo", "up");
        }
    }

    // The namespace and this machine's end of its cable have the same name, which a cable's may have at most 15 characters for.
    private string NamespaceOf(int node) => string.Create(CultureInfo.InvariantCulture, $"{_name}n{node}");

    private string HostOf(int node) => string.Create(CultureInfo.InvariantCulture, $"{_subnet}.{node + 1}");

    private static void Remove(string name, int nodes)
    {
        // Some may never have been made; nothing depends on it.
        for (int node = 0; node < nodes; node++)
        {
            string space = string.Create(CultureInfo.InvariantCulture, $"{name}n{node}");
            _ = TryRun(["link", "del", space]);
            _ = TryRun(["netns", "del", space]);
        }

        _ = TryRun(["link", "del", name]);
    }

    /// <summary>Removes the networks of test processes that are gone: one that was killed could not do so itself.</summary>
    private static void RemoveLeftovers()
    {
        foreach (string link in Directory.GetDirectories("/sys/class/net").Select(static d => Path.GetFileName(d)!))
        {
            string[] parts = link.StartsWith(Prefix, StringComparison.Ordinal) ? link[Prefix.Length..].Split('x') : [];
            if (
                parts.Length == 2
                && !parts[1].Contains('n', StringComparison.Ordinal)
                && int.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out int process)
                && !Directory.Exists($"/proc/{process}"))
            {
                Remove(link, 9);
            }
        }
    }

    private static void Run(params string[] arguments)
    {
        if (TryRun(arguments) is { } error)
        {
            throw new InvalidOperationException($"ip {string.Join(' ', arguments)}: {error}");
        }
    }

    /// <summary>Null, or why it failed.</summary>
    private static string? TryRun(string[] arguments)
    {
        try
        {
            using Process ip = Process.Start(
                new ProcessStartInfo("ip", arguments) { RedirectStandardError = true, RedirectStandardOutput = true }
            )!;
            Task<string> output = ip.StandardOutput.ReadToEndAsync();
            string error = ip.StandardError.ReadToEnd();
            _ = output.Result;
            ip.WaitForExit();
            return ip.ExitCode == 0 ? null : $"exit code {ip.ExitCode}: {error.Trim()}";
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            return e.Message;
        }
    }
}

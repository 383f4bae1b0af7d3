using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Server.Cluster;
using Henge.Server.Events;
using Henge.Server.Tls;
using Henge.Storage.Files;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Hosting;

/// <summary>Has a node with a new data directory join a cluster that runs, before it starts.</summary>
internal static class ClusterJoin
{
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan GiveUpAfter = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Asks the given addresses in turn until one takes the node in. Does nothing when the data directory belongs to a node already: then
    /// that says which cluster it is of. Throws <see cref="HengeException"/> with the way out.
    /// </summary>
    public static async Task RunAsync(ServerOptions options, TlsConnector? tls, ILogger logger, CancellationToken cancellation)
    {
        var files = new PosixFileSystem();
        if (options.Join.Count == 0 || NodeJoining.IsMade(files, options.Node.DataDirectory))
        {
            return;
        }

        foreach (string address in options.Join)
        {
            await CheckHostAsync(address, cancellation).ConfigureAwait(false);
        }

        using NodeJoining joining = NodeJoining.Begin(
            files,
            options.Node,
            static () => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8)));
        JoinAnswer answer = await AskAsync(options.Join, joining.Request, tls, logger, cancellation).ConfigureAwait(false);
        joining.Complete(answer);
        ServerEvents.Node.Joined(logger, options.Node.Name, answer.Id, answer.ClusterId);
    }

    private static async Task<JoinAnswer> AskAsync(
        IReadOnlyList<string> addresses,
        JoinRequest request,
        TlsConnector? tls,
        ILogger logger,
        CancellationToken cancellation)
    {
        long begun = Environment.TickCount64;
        Dictionary<string, string> problems = [];
        while (true)
        {
            foreach (string address in addresses)
            {
                try
                {
                    return await JoinCall.AskAsync(address, request, tls, CallTimeout, cancellation).ConfigureAwait(false);
                }
                catch (HengeException e) when (e.Code is ErrorCode.Unavailable or ErrorCode.DeadlineExceeded or ErrorCode.Stopping)
                {
                    // Another one may answer, or this one later: what was asked is taken once, however often it is asked.
                    if (!problems.TryGetValue(address, out string? told) || told != e.Message)
                    {
                        ServerEvents.Node.JoinDelayed(logger, address, e.Message);
                    }

                    problems[address] = e.Message;
                }
                catch (HengeException e)
                {
                    throw new HengeException(e.Code, $"The cluster at {address} does not take {request.Name} in. {e.Message}", e);
                }
            }

            if (Environment.TickCount64 - begun > GiveUpAfter.TotalMilliseconds)
            {
                throw new HengeException(
                    ErrorCode.Unavailable,
                    $"No node of the cluster to join has taken {request.Name} in within {GiveUpAfter.TotalSeconds:0} s: "
                        + string.Join(" ", problems.Select(static p => $"{p.Key}: {p.Value}"))
                        + " Is the cluster running, and are these addresses of its nodes? Start the node again to go on.");
            }

            await Task.Delay(Pause, cancellation).ConfigureAwait(false);
        }
    }

    private static async Task CheckHostAsync(string address, CancellationToken cancellation)
    {
        string host = address[..address.LastIndexOf(':')].Trim('[', ']');
        if (IPAddress.TryParse(host, out _))
        {
            return;
        }

        try
        {
            await Dns.GetHostAddressesAsync(host, cancellation).ConfigureAwait(false);
        }
        catch (SocketException e)
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"join names {address}, and the host {host} is not known here: {e.Message}. Write addresses at which nodes of the cluster "
                    + $"are reached from this machine.",
                e);
        }
    }
}

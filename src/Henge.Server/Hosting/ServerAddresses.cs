using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Henge.Core;
using Henge.Node.Context;

namespace Henge.Server.Hosting;

/// <summary>
/// Decides at which address others reach this node, and refuses one that leads them elsewhere: clients follow what a node says, and on
/// another machine a loopback address is that machine's own (docs/decisions/0157-addresses-that-lead-elsewhere.md).
/// </summary>
internal static class ServerAddresses
{
    /// <summary>
    /// Gives a port to an address that says 0, and gives the node the address at which it can be reached. The node's address is part of the
    /// cluster's truth before anything listens, so both must be known first. Throws <see cref="HengeException"/> (Misconfigured) when there
    /// is none that others can use.
    /// </summary>
    public static ServerOptions Resolve(ServerOptions options)
    {
        string address = options.Door.Address;
        if (address.EndsWith(":0", StringComparison.Ordinal))
        {
            address = string.Create(CultureInfo.InvariantCulture, $"{address[..^2]}:{FindFreePort()}");
            options = options with { Door = options.Door with { Address = address } };
        }

        string reached = options.Node.Cluster.Count > 0 ? FromList(options, address) : Alone(options.AdvertisedAddress, address);
        CheckJoin(options, reached);
        return options with { Node = options.Node with { Address = reached } };
    }

    /// <summary>What kind of host an address names. Names other than localhost are not looked up.</summary>
    internal static HostKind KindOf(string address)
    {
        string host = address[..Math.Max(0, address.LastIndexOf(':'))].Trim('[', ']');
        if (host is "" or "*" or "+")
        {
            return HostKind.Wildcard;
        }

        if (!IPAddress.TryParse(host, out IPAddress? ip))
        {
            return
                host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
                || host.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase)
                ? HostKind.Loopback
                : HostKind.Other;
        }

        ip = ip.IsIPv4MappedToIPv6 ? ip.MapToIPv4() : ip;
        return ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any) ? HostKind.Wildcard
            : IPAddress.IsLoopback(ip) ? HostKind.Loopback
            : HostKind.Other;
    }

    private static string Alone(string advertised, string listens)
    {
        if (advertised.Length > 0)
        {
            return KindOf(advertised) == HostKind.Wildcard
                ? throw Wrong(
                    $"advertise is {advertised}, and nobody can connect to that. Write --advertise HOST:PORT with a host by which clients "
                        + $"reach this machine.")
                : advertised;
        }

        return KindOf(listens) == HostKind.Wildcard
            ? throw Wrong(
                $"addr is {listens}: the node listens on every address of this machine and does not know by which of them clients reach "
                    + $"it. "
                    + "Add --advertise HOST:PORT with a host by which they do (127.0.0.1 if only this machine should use the node), or "
                    + "listen on one address.")
            : listens;
    }

    private static void CheckJoin(ServerOptions options, string reached)
    {
        string? other = options.Join.FirstOrDefault(static a => KindOf(a) == HostKind.Other);
        if (other is not null && KindOf(reached) == HostKind.Loopback)
        {
            throw Wrong(
                $"The node would tell a cluster at {other} that it is reached at {reached}, which on every other machine is that machine "
                    + $"itself. Write --advertise HOST:PORT with a host by which the other nodes and clients reach this machine, or listen "
                    + $"there.");
        }

        if (options.Join.Contains(reached))
        {
            throw Wrong(
                $"join names {reached}, which is this node's own address. Name nodes of the cluster that run already; the first node of a "
                    + $"new cluster is started without join.");
        }
    }

    private static string FromList(ServerOptions options, string listens)
    {
        IReadOnlyList<ClusterMember> members = options.Node.Cluster;
        foreach (ClusterMember member in members)
        {
            if (KindOf(member.Address) == HostKind.Wildcard)
            {
                throw Wrong(
                    $"cluster names {member.Name} at {member.Address}, and nobody can connect to that. Write an address by which the other "
                        + $"nodes and clients reach {member.Name}.");
            }
        }

        ClusterMember self = members.FirstOrDefault(m => m.Name == options.Node.Name);
        if (self.Name is null)
        {
            // The node itself refuses a list without it, and says so.
            return listens;
        }

        if (options.AdvertisedAddress.Length > 0 && options.AdvertisedAddress != self.Address)
        {
            throw Wrong(
                $"advertise is {options.AdvertisedAddress}, and cluster names {self.Name} at {self.Address}. A node of a list is reached "
                    + $"at the address in it: leave out advertise, or write that address in cluster on every node.");
        }

        if (members.Count > 1)
        {
            CheckLoopback(members, self, listens);
        }

        return self.Address;
    }

    private static void CheckLoopback(IReadOnlyList<ClusterMember> members, ClusterMember self, string listens)
    {
        ClusterMember loopback = members.FirstOrDefault(static m => KindOf(m.Address) == HostKind.Loopback);
        ClusterMember other = members.FirstOrDefault(static m => KindOf(m.Address) == HostKind.Other);
        if (loopback.Name is not null && other.Name is not null)
        {
            throw Wrong(
                $"cluster names {loopback.Name} at {loopback.Address}, which on every other machine is that machine itself, and "
                    + $"{other.Name} at {other.Address}. "
                + $"Write for {loopback.Name} an address by which {other.Name} and clients reach it.");
        }

        if (loopback.Name is not null && KindOf(listens) != HostKind.Loopback)
        {
            throw Wrong(
                $"addr is {listens}, where clients on other machines can connect, and cluster names {self.Name} at {self.Address}, which "
                    + $"on their machines is something else. "
                + "Write in cluster addresses by which clients reach the nodes, or listen on a loopback address as well.");
        }
    }

    private static int FindFreePort()
    {
        using TcpListener probe = new(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    private static HengeException Wrong(string message) => new(ErrorCode.Misconfigured, message);
}

/// <summary>What an address's host is to others.</summary>
internal enum HostKind
{
    /// <summary>Every address of a machine: good to listen on, not to connect to.</summary>
    Wildcard,
    /// <summary>The machine that asks.</summary>
    Loopback,
    /// <summary>A machine that others may reach.</summary>
    Other,
}

using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Henge.Server;

/// <summary>Fills in the addresses that follow from others.</summary>
internal static class ServerAddresses
{
    /// <summary>
    /// Gives a port to an address that says 0, and gives the node of a cluster of one the address at which it can be reached. The node's address is part of the cluster's truth
    /// before anything listens, so both must be known first.
    /// </summary>
    public static ServerOptions Resolve(ServerOptions options)
    {
        string address = options.Door.Address;
        if (address.EndsWith(":0", StringComparison.Ordinal))
        {
            address = string.Create(CultureInfo.InvariantCulture, $"{address[..^2]}:{FindFreePort()}");
            options = options with { Door = options.Door with { Address = address } };
        }

        if (options.AdvertisedAddress.Length > 0)
        {
            address = options.AdvertisedAddress;
        }
        else if (IPEndPoint.TryParse(address, out IPEndPoint? point) && (point.Address.Equals(IPAddress.Any) || point.Address.Equals(IPAddress.IPv6Any)))
        {
            // Nobody can connect to "any address"; from this machine at least its own works.
            address = string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{point.Port}");
        }

        return options with { Node = options.Node with { Address = address } };
    }

    private static int FindFreePort()
    {
        using TcpListener probe = new(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }
}

using System.Net;

namespace Henge.Server.Ports;

/// <summary>Counts open connections, by all and by address. Thread-safe.</summary>
internal sealed class ConnectionCounter(PortLimits limits)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<IPAddress, int> _byAddress = [];
    private int _open;

    public int Open => Volatile.Read(ref _open);

    /// <summary>
    /// Counts a connection in; false when there is no place. <paramref name="isForPeers"/>: only one between nodes may stay.
    /// </summary>
    public bool TryEnter(EndPoint? remote, out bool isForPeers)
    {
        lock (_lock)
        {
            isForPeers = _open >= limits.Connections;
            if (_open >= limits.Connections + PortLimits.PeerConnections)
            {
                return false;
            }

            if (limits.ConnectionsPerAddress > 0 && remote is IPEndPoint ip)
            {
                int count = _byAddress.GetValueOrDefault(ip.Address);
                if (count >= limits.ConnectionsPerAddress)
                {
                    return false;
                }

                _byAddress[ip.Address] = count + 1;
            }

            _open++;
            return true;
        }
    }

    public void Leave(EndPoint? remote)
    {
        lock (_lock)
        {
            _open--;
            if (limits.ConnectionsPerAddress > 0 && remote is IPEndPoint ip)
            {
                int count = _byAddress[ip.Address] - 1;
                if (count == 0)
                {
                    _byAddress.Remove(ip.Address);
                }
                else
                {
                    _byAddress[ip.Address] = count;
                }
            }
        }
    }
}

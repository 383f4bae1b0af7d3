namespace Henge.Server.Ports;

/// <summary>Bounds on connections of the one port.</summary>
public sealed record PortLimits
{
    /// <summary>Most bytes that are looked at to tell protocols apart.</summary>
    public const int SniffBytes = 512;

    /// <summary>
    /// Connections above <see cref="Connections"/> that nodes have among themselves: clients that take all places must not cut a node off
    /// from the others.
    /// </summary>
    public const int PeerConnections = 64;

    /// <summary>Most connections at a time, all protocols together. Over it, new ones are closed at once.</summary>
    public int Connections { get; init; } = 10_000;

    /// <summary>Most connections at a time from one address; 0: no such limit.</summary>
    public int ConnectionsPerAddress { get; init; }

    /// <summary>
    /// Most bytes that have arrived and were not taken yet, of all connections of RESP, JSON lines and Thrift together, without the first
    /// 64 KiB of each; and of answers of Thrift that wait. Over it, the one that needs more is closed.
    /// </summary>
    public long InputBytes { get; init; } = 1L << 30;

    /// <summary>
    /// Most connections of RESP, JSON lines and Thrift that have not logged in, while access is checked. Over it, the one that has waited
    /// longest is closed.
    /// </summary>
    public int UnauthenticatedConnections { get; init; } = 1_000;

    /// <summary>How long such a connection may take to log in.</summary>
    public TimeSpan LoginTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How long a request of RESP, JSON lines or Thrift that has begun to arrive may take to be there. A connection on which none has
    /// begun may stay for as long as it likes.
    /// </summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How long a new connection may take to say which protocol it speaks, TLS handshake apart.</summary>
    public TimeSpan FirstBytesTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a TLS handshake may take.</summary>
    public TimeSpan TlsHandshakeTimeout { get; init; } = TimeSpan.FromSeconds(10);
}

namespace Henge.Server.Ports;

/// <summary>Bounds on connections of the one port.</summary>
public sealed record PortLimits
{
    /// <summary>Most bytes that are looked at to tell protocols apart.</summary>
    public const int SniffBytes = 512;

    /// <summary>Most connections at a time, all protocols together. Over it, new ones are closed at once.</summary>
    public int Connections { get; init; } = 10_000;

    /// <summary>Most connections at a time from one address; 0: no such limit.</summary>
    public int ConnectionsPerAddress { get; init; }

    /// <summary>How long a new connection may take to say which protocol it speaks, TLS handshake apart.</summary>
    public TimeSpan FirstBytesTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long a TLS handshake may take.</summary>
    public TimeSpan TlsHandshakeTimeout { get; init; } = TimeSpan.FromSeconds(10);
}

using System.Net;

namespace Henge.Server.Ports;

/// <summary>An endpoint of Kestrel that no socket listens on: its connections are handed over by the sniffer of the public port.</summary>
internal sealed class HandoffEndPoint(string name) : EndPoint
{
    public HandoffListener Listener { get; } = new(name);

    public override string ToString() => "handoff:" + name;
}

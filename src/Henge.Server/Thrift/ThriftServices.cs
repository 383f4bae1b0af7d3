using Henge.Node.Api;
using Henge.Server.Access;
using Henge.Server.Metrics;
using Henge.Server.Ports;
using Thrift;
using Thrift.Protocol;
using Thrift.Transport;

namespace Henge.Server.Thrift;

/// <summary>What all connections of the door share. Thread-safe.</summary>
/// <param name="node">The node.</param>
/// <param name="encoding">How its messages are written.</param>
/// <param name="metrics">Where calls are measured; null: nowhere.</param>
internal sealed class ThriftServices(IHengeNode node, ThriftEncoding encoding, ServerMetrics? metrics)
{
    // What an encoding adds to a command's keys and values: some dozen bytes for each of its operations.
    private const int FrameOverheadBytes = 256 * 1024;
    private const int MostNested = 16;

    /// <summary>The node.</summary>
    public IHengeNode Node => node;

    /// <summary>Where calls are measured; null: nowhere.</summary>
    public ServerMetrics? Metrics => metrics;

    /// <summary>Finds out who is there; null: nobody is asked.</summary>
    public Logins? Logins { get; set; }

    /// <summary>Most bytes of a request's frame.</summary>
    public int FrameBytes { get; } = (int)Math.Min(
        Math.Max(node.Limits.CommandBytes, (long)node.Limits.KeyBytes + node.Limits.ValueBytes) + FrameOverheadBytes, 1 << 30);

    /// <summary>Most elements of a list.</summary>
    public int Elements => node.Limits.TxnOperations;

    /// <summary>Answers that wait for clients who do not take them.</summary>
    public InputBudget Answers { get; set; } = new(new PortLimits().InputBytes);

    /// <summary>The library's own bounds; those of frames are ours, and no wider.</summary>
    public TConfiguration Configuration { get; } = new()
    {
        MaxMessageSize = 1 << 30,
        MaxFrameSize = 1 << 30,
        RecursionLimit = MostNested,
    };

    /// <summary>The library's protocol over a transport.</summary>
    public TProtocol ProtocolOver(TTransport transport) => encoding == ThriftEncoding.Compact
        ? new TCompactProtocol(transport)
        : new TBinaryProtocol(transport, strictRead: true, strictWrite: true);
}

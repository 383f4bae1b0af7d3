using Henge.Node.Api;
using Henge.Server.Access;
using Henge.Server.Metrics;
using Henge.Server.Ports;
using Microsoft.AspNetCore.Connections;
using Thrift;
using Thrift.Protocol.Entities;

namespace Henge.Server.Thrift;

/// <summary>
/// The Thrift door, in one of its two encodings: the service <c>KVStore</c> of <c>proto/henge/v1/henge.thrift</c>, in frames. Told apart by
/// the length of the first frame, whose first byte no other protocol begins with, and the first bytes of its message.
/// </summary>
/// <param name="node">The node behind it.</param>
/// <param name="encoding">The encoding.</param>
/// <param name="metrics">Where calls are measured; null: nowhere.</param>
public sealed class ThriftProtocol(IHengeNode node, ThriftEncoding encoding, ServerMetrics? metrics = null) : IConnectionProtocol
{
    // The length of a frame is below 144 MiB then: no line end, blank, letter or beginning of TLS is as small.
    private const byte MostFirstByte = 8;
    private const int LengthBytes = 4;
    private readonly ThriftServices _services = new(node, encoding, metrics);

    /// <summary>Finds out who is there; null: nobody is asked.</summary>
    internal Logins? Logins
    {
        get => _services.Logins;
        init => _services.Logins = value;
    }

    /// <summary>Answers that wait for clients who do not take them, which the connections of both encodings may share.</summary>
    internal InputBudget Answers
    {
        get => _services.Answers;
        init => _services.Answers = value;
    }

    /// <summary>Both encodings of the door.</summary>
    /// <param name="node">The node behind it.</param>
    /// <param name="metrics">Where calls are measured; null: nowhere.</param>
    /// <param name="logins">Finds out who is there; null: nobody is asked.</param>
    /// <param name="limits">Bounds of the port; null: the defaults.</param>
    internal static IReadOnlyList<ThriftProtocol> Both(
        IHengeNode node, ServerMetrics? metrics = null, Logins? logins = null, PortLimits? limits = null)
    {
        InputBudget answers = new((limits ?? new PortLimits()).InputBytes);
        return
        [
            new(node, ThriftEncoding.Binary, metrics) { Logins = logins, Answers = answers },
            new(node, ThriftEncoding.Compact, metrics) { Logins = logins, Answers = answers },
        ];
    }

    /// <inheritdoc/>
    public string Name => "thrift";

    /// <inheritdoc/>
    public bool Matches(ReadOnlySpan<byte> first, out bool needMore)
    {
        needMore = false;
        if (first[0] > MostFirstByte)
        {
            return false;
        }

        needMore = first.Length <= LengthBytes || (first.Length == LengthBytes + 1 && first[LengthBytes] == FirstOfMessage);
        return first.Length > LengthBytes + 1 && first[LengthBytes] == FirstOfMessage && IsSecondOfMessage(first[LengthBytes + 1]);
    }

    /// <inheritdoc/>
    public byte[] ErrorOf(string message)
    {
        using FrameOutput output = new(_services.Configuration);
        output.Begin();
        ThriftAnswers.WriteProblemAsync(
            _services.ProtocolOver(output),
            new TMessage("", TMessageType.Call, 0),
            TApplicationException.ExceptionType.InternalError,
            message).GetAwaiter().GetResult();
        byte[] error = output.End().ToArray();
        output.Clear();
        return error;
    }

    /// <inheritdoc/>
    public async Task RunAsync(ConnectionContext connection)
    {
        using ThriftConnection served = new(connection, _services);
        await served.RunAsync();
    }

    private byte FirstOfMessage => encoding == ThriftEncoding.Compact ? (byte)0x82 : (byte)0x80;

    // The version is 1 in both. Three bits above the compact one's are the message's type.
    private bool IsSecondOfMessage(byte second) => encoding == ThriftEncoding.Compact ? (second & 0x1F) == 1 : second == 1;
}

using System.Globalization;
using System.Net.Sockets;
using Google.Protobuf;
using Grpc.Core;
using Henge.Client.Errors;
using Henge.Core;
using Henge.Protocol.Grpc;

namespace Henge.Client.Transport;

/// <summary>Turns what Grpc.Net.Client throws into what it means for the operation. Pure functions.</summary>
internal static class CallFailure
{
    /// <summary>HTTP/2 error code REFUSED_STREAM: the server did not look at the request (RFC 9113, section 8.7).</summary>
    private const long RefusedStream = 7;

    // Grpc.Net.Client tells these apart from a node's own words by nothing but their text. CallFailureTests holds each of them.
    private const string BadAnswer = "Bad gRPC response.", TooLong = "Received message exceeds", OddEncoding = "Unsupported grpc-encoding";

    /// <summary>
    /// The failure of an attempt that ended with <paramref name="e"/>; of one of which nothing had left when that is known.
    /// </summary>
    public static AttemptFailedException From(RpcException e, string address, bool sent = true)
    {
        if (e.Trailers.GetValue(GrpcHeaders.HengeError) is { } fine)
        {
            // The node itself says it, and says exactly what it leaves behind.
            ErrorCode said = GrpcErrors.ToErrorCode((GrpcStatusCode)e.StatusCode, fine);
            return new AttemptFailedException(
                said,
                Text(e, address),
                OutcomeOf(said, saidByHenge: true),
                e.Trailers.GetValue(GrpcHeaders.HengeLeader),
                inner: e,
                leaderTerm: ulong.TryParse(
                    e.Trailers.GetValue(GrpcHeaders.HengeLeaderTerm),
                    NumberStyles.None,
                    CultureInfo.InvariantCulture,
                    out ulong term) ? term : 0);
        }

        Exception? cause = e.Status.DebugException ?? e.InnerException;
        if (cause is AttemptFailedException own)
        {
            // The client itself has not let the call go.
            return own;
        }

        if (cause is not null && IsTransport(cause))
        {
            return Broken(cause, address, sent && !IsUntouched(cause), e);
        }

        if (!sent)
        {
            return new AttemptFailedException(
                ErrorCode.Unavailable,
                $"{address} cannot be reached: {Innermost(cause ?? e)}",
                AttemptOutcome.NothingDone,
                connectionFailed: true,
                inner: e);
        }

        // What remains comes from something else, such as a proxy, or is the library's status for an answer that is not gRPC.
        string detail = e.Status.Detail;
        ErrorCode code = (e.StatusCode, detail) switch
        {
            (StatusCode.ResourceExhausted, _) when detail.StartsWith(TooLong, StringComparison.Ordinal) => ErrorCode.TooLarge,
            (StatusCode.Unimplemented, _) when detail.StartsWith(OddEncoding, StringComparison.Ordinal) => ErrorCode.Internal,
            (StatusCode.Unknown, _) when detail.StartsWith(BadAnswer, StringComparison.Ordinal) => ErrorCode.Internal,
            (StatusCode.Cancelled, _) => ErrorCode.Internal,
            _ when cause is not null => ErrorCode.Internal,
            _ => GrpcErrors.ToErrorCode((GrpcStatusCode)e.StatusCode, null),
        };
        return new AttemptFailedException(
            code, Text(e, address), code == ErrorCode.TooLarge ? AttemptOutcome.Unknown : OutcomeOf(code, saidByHenge: false), inner: e);
    }

    /// <summary>The failure of an attempt whose connection was taken away: the client is being disposed of.</summary>
    public static AttemptFailedException From(ObjectDisposedException e, string address, bool sent) => Broken(e, address, sent, e);

    /// <summary>The failure of an attempt that took too long.</summary>
    public static AttemptFailedException TimedOut(string address, TimeSpan timeout, bool sent, Exception? inner = null) => new(
        ErrorCode.DeadlineExceeded,
        $"{address} did not answer within {timeout.TotalMilliseconds:0} ms.",
        sent ? AttemptOutcome.Unknown : AttemptOutcome.NothingDone,
        connectionFailed: true,
        inner: inner);

    /// <summary>
    /// What an error leaves behind. A Henge node's own codes say it exactly; a bare gRPC status may come from a proxy, which cannot know.
    /// </summary>
    public static AttemptOutcome OutcomeOf(ErrorCode code, bool saidByHenge) => code switch
    {
        ErrorCode.UnknownOutcome or ErrorCode.Internal or ErrorCode.Cancelled or ErrorCode.Corruption => AttemptOutcome.Unknown,
        ErrorCode.InvalidArgument or ErrorCode.UnsupportedFormat => AttemptOutcome.NothingDone,
        _ => saidByHenge ? AttemptOutcome.NothingDone : AttemptOutcome.Unknown,
    };

    private static AttemptFailedException Broken(Exception cause, string address, bool sent, Exception whole) => new(
        ErrorCode.Unavailable,
        sent ? $"The connection to {address} broke: {Innermost(cause)}" : $"{address} cannot be reached: {Innermost(cause)}",
        sent ? AttemptOutcome.Unknown : AttemptOutcome.NothingDone,
        connectionFailed: true,
        inner: whole);

    // A message that cannot be parsed is an IOException too, by Protocol Buffers' own choice; the connection is well.
    private static bool IsTransport(Exception e) =>
        e is HttpRequestException or IOException or SocketException or ObjectDisposedException && e is not InvalidProtocolBufferException;

    /// <summary>True when the error says that no node has looked at the request.</summary>
    private static bool IsUntouched(Exception e)
    {
        // Bare, in no IOException, it is an error of making the connection: the platform lets it pass when a connection breaks before it is
        // used.
        if (e is SocketException)
        {
            return true;
        }

        for (Exception? cause = e; cause is not null; cause = cause.InnerException)
        {
            if (
                cause
                is HttpProtocolException { ErrorCode: RefusedStream }
                    or HttpRequestException
                {
                    HttpRequestError: HttpRequestError.ConnectionError
                            or HttpRequestError.NameResolutionError
                            or HttpRequestError.SecureConnectionError
                            or HttpRequestError.ProxyTunnelError
                            or HttpRequestError.VersionNegotiationError,
                })
            {
                return true;
            }
        }

        return false;
    }

    private static string Text(RpcException e, string address) =>
        e.Trailers.GetValue(GrpcHeaders.HengeError) is not null && e.Status.Detail.Length > 0 ? e.Status.Detail
        : e.Status.Detail.Length > 0 ? $"{address} answered with gRPC status {e.StatusCode}: {e.Status.Detail}"
        : $"{address} answered with gRPC status {e.StatusCode}.";

    private static string Innermost(Exception e)
    {
        while (e.InnerException is { } inner)
        {
            e = inner;
        }

        return e.Message;
    }
}

using System.Net.Http;
using Henge.Core;

namespace Henge.Client.Grpc;

/// <summary>Turns what the HTTP stack throws into what it means for the operation.</summary>
internal static class GrpcFailure
{
    /// <summary>HTTP/2 error code REFUSED_STREAM: the server did not look at the request (RFC 9113, section 8.7).</summary>
    private const long RefusedStream = 7;

    /// <summary>True for exceptions that are failures of an attempt, not bugs of ours.</summary>
    public static bool IsTransport(Exception e) => e is HttpRequestException or HttpProtocolException or IOException or ObjectDisposedException;

    /// <summary>The failure of an attempt that died of <paramref name="e"/>; of one of which nothing had left if that is known.</summary>
    public static AttemptFailedException From(Exception e, string address, bool sent = true)
    {
        bool notSent = !sent || e is HttpRequestException
        {
            HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError
            or HttpRequestError.ProxyTunnelError or HttpRequestError.VersionNegotiationError,
        };
        for (Exception? cause = e; cause is not null && !notSent; cause = cause.InnerException)
        {
            notSent = cause is HttpProtocolException { ErrorCode: RefusedStream };
        }

        return new AttemptFailedException(
            ErrorCode.Unavailable,
            notSent ? $"{address} cannot be reached: {Innermost(e)}" : $"The connection to {address} broke: {Innermost(e)}",
            notSent ? AttemptOutcome.NothingDone : AttemptOutcome.Unknown,
            connectionFailed: true,
            inner: e);
    }

    /// <summary>The failure of an attempt that took too long.</summary>
    public static AttemptFailedException TimedOut(string address, TimeSpan timeout, bool sent) => new(
        ErrorCode.DeadlineExceeded,
        $"{address} did not answer within {timeout.TotalMilliseconds:0} ms.",
        sent ? AttemptOutcome.Unknown : AttemptOutcome.NothingDone,
        connectionFailed: true);

    private static string Innermost(Exception e)
    {
        while (e.InnerException is { } inner)
        {
            e = inner;
        }

        return e.Message;
    }
}

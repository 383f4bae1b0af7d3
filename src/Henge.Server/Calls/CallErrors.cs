using System.Globalization;
using Google.Protobuf;
using Grpc.Core;
using Henge.Core;
using Henge.Protocol.Grpc;
using Henge.Protocol.Messages;
using Henge.Server.Events;
using Henge.Server.Operations;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Calls;

/// <summary>
/// What goes wrong, as the error that a gRPC call ends with: the nearest status, the number of the <see cref="ErrorCode"/> in the trailer
/// <c>henge-error</c>, and who leads in <c>henge-leader</c> (docs/decisions/0052-error-trailers.md). Thread-safe.
/// </summary>
internal sealed class CallErrors(ILogger logger, CancellationToken stopping)
{
    // Trailers must stay small.
    private const int LimitChars = 2048;

    /// <summary>The error for a call, with the trailers that say it finely.</summary>
    public static RpcException Create(
        StatusCode status,
        string message,
        ErrorCode code = ErrorCode.None,
        string? leaderHint = null,
        Term leaderTerm = default)
    {
        Metadata trailers = [];
        if (code != ErrorCode.None)
        {
            trailers.Add(GrpcHeaders.HengeError, GrpcErrors.ToTrailer(code));
        }

        if (!string.IsNullOrEmpty(leaderHint))
        {
            trailers.Add(GrpcHeaders.HengeLeader, leaderHint);
            if (leaderTerm != default)
            {
                trailers.Add(GrpcHeaders.HengeLeaderTerm, leaderTerm.Value.ToString(CultureInfo.InvariantCulture));
            }
        }

        return new RpcException(new Status(status, message.Length > LimitChars ? message[..LimitChars] : message), trailers);
    }

    /// <summary>The error for a call, from an error of Henge.</summary>
    public static RpcException Create(ErrorCode code, string message, string? leaderHint = null, Term leaderTerm = default) =>
        Create((StatusCode)(int)GrpcErrors.ToStatus(code), message, code, leaderHint, leaderTerm);

    /// <summary>The error for bytes that are no message of the type that a method takes.</summary>
    public static RpcException MalformedMessage(string message, InvalidProtocolBufferException e) =>
        Create(StatusCode.InvalidArgument, $"The message is not a valid {message}: {e.Message}", ErrorCode.InvalidArgument);

    /// <summary>The same, before it is known which way it is told.</summary>
    public static HengeException Malformed(MessageFormatException e) => new(
        ErrorCode.InvalidArgument,
        $"The message is not valid Protocol Buffers: {e.Message}. Is it the message that this method takes?",
        e);

    /// <summary>
    /// The error that a call ends with for what its handler threw. What nobody expects is logged, and tells the caller nothing of the
    /// inside.
    /// </summary>
    public RpcException Of(Exception exception, HttpContext context)
    {
        switch (exception)
        {
            case RpcException e:
                return e;
            case NotLeaderException e:
                return Create(e.Code, e.Message, e.LeaderHint, e.LeaderTerm);
            case HengeException e:
                return Create(e.Code, e.Message);
            case MessageFormatException e:
                return Of(Malformed(e), context);
            case OperationCanceledException when stopping.IsCancellationRequested:
                return Create(ErrorCode.Stopping, "The node is stopping. Go on with another one.");
            case OperationCanceledException
                when CallTerms.Of(context) is { HasDeadline: true } && !context.RequestAborted.IsCancellationRequested:
                // Not the clock is asked: the timer may be a hair ahead of it.
                return Create(ErrorCode.DeadlineExceeded, "The deadline of the call passed.");
            case OperationCanceledException:
                return Create(ErrorCode.Cancelled, "The call was cancelled.");
            case BadHttpRequestException or IOException:
                // The connection broke or the caller was too slow: this status is not read.
                return Create(StatusCode.Cancelled, exception.Message, ErrorCode.Cancelled);
            case InvalidOperationException when context.RequestAborted.IsCancellationRequested:
                // So the library says that a stream which is over cannot be read or written.
                return Create(StatusCode.Cancelled, exception.Message, ErrorCode.Cancelled);
            default:
                Report(context, exception);
                return Create(
                    ErrorCode.Internal,
                    $"An internal error ({exception.GetType().Name}). This is a bug in Henge; the server's log has more.");
        }
    }

    /// <summary>Puts an unexpected error into the server's log.</summary>
    public void Report(HttpContext context, Exception exception) => ServerEvents.Grpc.CallFailed(logger, exception, context.Request.Path);

    /// <summary>The code that a call ended with, from its status and the trailer beside it.</summary>
    public static ErrorCode CodeOf(string status, string? hengeError)
    {
        ErrorCode code = GrpcErrors.ToErrorCode((GrpcStatusCode)int.Parse(status, CultureInfo.InvariantCulture), hengeError);

        // What broke the rules of gRPC has no code of its own, and is the caller's error.
        return hengeError is null && code == ErrorCode.Internal ? ErrorCode.InvalidArgument : code;
    }
}

using System.Globalization;
using Henge.Core;

namespace Henge.Protocol.Grpc;

/// <summary>
/// The two-way map between Henge's <see cref="ErrorCode"/> and gRPC's status codes. The status is for everyone; the finer code travels
/// beside it in the <see cref="GrpcHeaders.HengeError"/> trailer. Pure functions.
/// </summary>
public static class GrpcErrors
{
    private static readonly string[] Numbers = CreateNumbers();

    /// <summary>The status that says an error to a stock client.</summary>
    public static GrpcStatusCode ToStatus(ErrorCode code) => code switch
    {
        ErrorCode.None => GrpcStatusCode.Ok,
        ErrorCode.InvalidArgument or ErrorCode.TooLarge or ErrorCode.CrossShard => GrpcStatusCode.InvalidArgument,
        ErrorCode.HistoryGone => GrpcStatusCode.OutOfRange,
        ErrorCode.NotLeader or ErrorCode.SessionExpired or ErrorCode.WrongType => GrpcStatusCode.FailedPrecondition,
        ErrorCode.UnsupportedFormat or ErrorCode.Locked or ErrorCode.Misconfigured => GrpcStatusCode.FailedPrecondition,
        ErrorCode.Unavailable or ErrorCode.Stopping => GrpcStatusCode.Unavailable,
        ErrorCode.UnknownOutcome => GrpcStatusCode.Unknown,
        ErrorCode.DeadlineExceeded => GrpcStatusCode.DeadlineExceeded,
        ErrorCode.ResourceExhausted or ErrorCode.DiskFull => GrpcStatusCode.ResourceExhausted,
        ErrorCode.Corruption => GrpcStatusCode.DataLoss,
        ErrorCode.Cancelled => GrpcStatusCode.Cancelled,
        ErrorCode.Unauthenticated => GrpcStatusCode.Unauthenticated,
        ErrorCode.PermissionDenied => GrpcStatusCode.PermissionDenied,
        _ => GrpcStatusCode.Internal,
    };

    /// <summary>
    /// The error that a status and its trailer say. Without the trailer (a proxy, or the connection itself, made the status up) the code is
    /// the nearest one. A status of <see cref="GrpcStatusCode.Unavailable"/> without the trailer does not prove that nothing was done:
    /// callers decide what that means for writes.
    /// </summary>
    /// <param name="status">The value of <c>grpc-status</c>.</param>
    /// <param name="hengeError">The value of the <c>henge-error</c> trailer, or null.</param>
    public static ErrorCode ToErrorCode(GrpcStatusCode status, string? hengeError)
    {
        if (status == GrpcStatusCode.Ok)
        {
            return ErrorCode.None;
        }

        if (
            int.TryParse(hengeError, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            && number > 0
            && number < Numbers.Length)
        {
            return (ErrorCode)number;
        }

        return status switch
        {
            GrpcStatusCode.Cancelled => ErrorCode.Cancelled,
            GrpcStatusCode.InvalidArgument => ErrorCode.InvalidArgument,
            GrpcStatusCode.DeadlineExceeded => ErrorCode.DeadlineExceeded,
            GrpcStatusCode.ResourceExhausted => ErrorCode.ResourceExhausted,
            GrpcStatusCode.FailedPrecondition => ErrorCode.NotLeader,
            GrpcStatusCode.OutOfRange => ErrorCode.HistoryGone,
            GrpcStatusCode.Unimplemented => ErrorCode.UnsupportedFormat,
            GrpcStatusCode.Unavailable => ErrorCode.Unavailable,
            GrpcStatusCode.DataLoss => ErrorCode.Corruption,
            GrpcStatusCode.Unauthenticated => ErrorCode.Unauthenticated,
            GrpcStatusCode.PermissionDenied => ErrorCode.PermissionDenied,
            GrpcStatusCode.Unknown or GrpcStatusCode.Aborted => ErrorCode.UnknownOutcome,
            _ => ErrorCode.Internal,
        };
    }

    /// <summary>The number of a code as text, without allocation for the codes that there are.</summary>
    public static string ToTrailer(ErrorCode code) =>
        (uint)code < (uint)Numbers.Length ? Numbers[(int)code] : ((int)code).ToString(CultureInfo.InvariantCulture);

    /// <summary>The number of a status as text, without allocation for the codes that there are.</summary>
    public static string ToTrailer(GrpcStatusCode status) => ToTrailer((ErrorCode)status);

    private static string[] CreateNumbers()
    {
        string[] numbers = new string[(int)ErrorCode.PermissionDenied + 1];
        for (int i = 0; i < numbers.Length; i++)
        {
            numbers[i] = i.ToString(CultureInfo.InvariantCulture);
        }

        return numbers;
    }
}

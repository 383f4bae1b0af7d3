using Henge.Core;

namespace Henge.Client.Errors;

/// <summary>Turns codes into the exceptions that users catch.</summary>
internal static class ErrorFactory
{
    /// <summary>The exception for a code; never null.</summary>
    public static HengeException Create(ErrorCode code, string message, string? leaderHint = null, Exception? inner = null) => code switch
    {
        ErrorCode.InvalidArgument => new InvalidRequestException(message, inner),
        ErrorCode.TooLarge => new TooLargeException(message, inner),
        ErrorCode.HistoryGone => new HistoryGoneException(message, inner),
        ErrorCode.NotLeader => new NotLeaderException(message, leaderHint, inner),
        ErrorCode.Unavailable or ErrorCode.Stopping => new UnavailableException(message, inner),
        ErrorCode.UnknownOutcome => new UnknownOutcomeException(message, inner),
        ErrorCode.DeadlineExceeded => new DeadlineExceededException(message, inner),
        ErrorCode.ResourceExhausted => new ResourceExhaustedException(message, inner),
        ErrorCode.CrossShard => new CrossShardException(message, inner),
        ErrorCode.Corruption => new CorruptionException(message, inner),
        ErrorCode.UnsupportedFormat => new UnsupportedFormatException(message, inner),
        ErrorCode.Misconfigured or ErrorCode.Locked => new MisconfiguredException(message, inner),
        ErrorCode.SessionExpired => new SessionExpiredException(message, inner),
        ErrorCode.DiskFull => new DiskFullException(message, inner),
        ErrorCode.WrongType => new WrongTypeException(message, inner),
        ErrorCode.Unauthenticated => new UnauthenticatedException(message, inner),
        ErrorCode.PermissionDenied => new PermissionDeniedException(message, inner),
        ErrorCode.Internal => new InternalErrorException(message, inner),
        _ => new HengeException(code, message, inner),
    };

    /// <summary>What a caller is told whose turn did not come in time.</summary>
    public static DeadlineExceededException NotSentInTime() =>
        new("The deadline passed while earlier writes to the same key were under way. The request was not sent, and nothing was done.");

    /// <summary>Throws <see cref="ObjectDisposedException"/>, in the client's name, once it has been disposed of.</summary>
    public static void ThrowIfDisposed(bool disposed)
    {
#pragma warning disable CA1513 // ThrowIf names a type that this folder is below of, and so does not know.
        if (disposed)
        {
            throw new ObjectDisposedException("Henge.Client.HengeClient");
        }
#pragma warning restore CA1513
    }
}

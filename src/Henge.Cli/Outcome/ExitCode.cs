using Henge.Core;

namespace Henge.Cli.Outcome;

/// <summary>How the process ends, for scripts. Documented in docs/cli.md; never give a number another meaning.</summary>
internal static class ExitCode
{
    public const int Ok = 0;

    /// <summary>The key was not found, or the condition did not hold. Nothing was changed.</summary>
    public const int No = 1;

    /// <summary>The command line makes no sense.</summary>
    public const int Usage = 2;

    /// <summary>No node or no majority within the deadline. Nothing was changed.</summary>
    public const int Unavailable = 3;

    /// <summary>A write may or may not have taken effect.</summary>
    public const int UnknownOutcome = 4;

    /// <summary>The cluster refused the request: too large, keys on different shards, wrong type, a user that may not.</summary>
    public const int Refused = 5;

    /// <summary>The version or time asked for is below the retained history.</summary>
    public const int HistoryGone = 6;

    /// <summary>Damaged data was found.</summary>
    public const int Damage = 7;

    /// <summary>Too much is under way, or a disk is full.</summary>
    public const int Exhausted = 8;

    /// <summary>A file could not be read or written.</summary>
    public const int File = 9;

    /// <summary>A bug, or an answer that makes no sense.</summary>
    public const int Internal = 10;

    /// <summary>Some operations of a load failed, others did not.</summary>
    public const int SomeFailed = 11;

    /// <summary>A node has ended itself, as it must when a sync fails or its data would become wrong. Its last lines say why.</summary>
    public const int NodeEnded = 12;

    /// <summary>Ended by Ctrl-C, as shells count it (128 + SIGINT).</summary>
    public const int Interrupted = 130;

    /// <summary>The reader of the output has closed it, as shells count it (128 + SIGPIPE).</summary>
    public const int OutputClosed = 141;

    /// <summary>The code for an error.</summary>
    public static int Of(ErrorCode code) =>
        code switch
        {
            ErrorCode.None => Ok,
            ErrorCode.Unavailable or ErrorCode.DeadlineExceeded or ErrorCode.NotLeader or ErrorCode.Stopping => Unavailable,
            ErrorCode.UnknownOutcome or ErrorCode.SessionExpired => UnknownOutcome,
            ErrorCode.InvalidArgument
            or ErrorCode.TooLarge
            or ErrorCode.CrossShard
            or ErrorCode.WrongType
            or ErrorCode.Misconfigured
            or ErrorCode.Locked
            or ErrorCode.UnsupportedFormat
            or ErrorCode.Unauthenticated
            or ErrorCode.PermissionDenied => Refused,
            ErrorCode.HistoryGone => HistoryGone,
            ErrorCode.Corruption => Damage,
            ErrorCode.ResourceExhausted or ErrorCode.DiskFull => Exhausted,
            ErrorCode.Cancelled => Interrupted,
            _ => Internal,
        };
}

using Henge.Core;
using Henge.Server.Operations;
using Henge.Thrift.Generated;
using Thrift;
using ErrorCode = Henge.Core.ErrorCode;
using Wire = Henge.Thrift.Generated.ErrorCode;

namespace Henge.Server.Thrift;

/// <summary>Errors as the exceptions of the API. Pure functions.</summary>
internal static class ThriftErrors
{
    /// <summary>The exception of a call for an error: of the error's own kind where the call has one.</summary>
    public static TException Of(HengeException e, ThriftMethod method)
    {
        // The numbers are the same.
        var code = (Wire)(int)e.Code;
        string text = e.Message;
        ErrorCode kind = method.Errors.Contains(e.Code) ? e.Code : ErrorCode.Internal;
        return kind switch
        {
            ErrorCode.InvalidArgument => new InvalidArgument { Code = code, Message = text },
            ErrorCode.TooLarge => new TooLarge { Code = code, Message = text },
            ErrorCode.HistoryGone => new HistoryGone { Code = code, Message = text },
            ErrorCode.NotLeader => NotLeader(e),
            ErrorCode.Unavailable => new Unavailable { Code = code, Message = text },
            ErrorCode.UnknownOutcome => new UnknownOutcome { Code = code, Message = text },
            ErrorCode.DeadlineExceeded => new DeadlineExceeded { Code = code, Message = text },
            ErrorCode.ResourceExhausted => new ResourceExhausted { Code = code, Message = text },
            ErrorCode.CrossShard => new CrossShard { Code = code, Message = text },
            ErrorCode.Corruption => new Corruption { Code = code, Message = text },
            ErrorCode.UnsupportedFormat => new UnsupportedFormat { Code = code, Message = text },
            ErrorCode.Stopping => new Stopping { Code = code, Message = text },
            ErrorCode.DiskFull => new DiskFull { Code = code, Message = text },
            ErrorCode.WrongType => new WrongType { Code = code, Message = text },
            ErrorCode.Unauthenticated => new Unauthenticated { Code = code, Message = text },
            ErrorCode.PermissionDenied => new PermissionDenied { Code = code, Message = text },
            _ => new InternalError { Code = code, Message = text },
        };
    }

    /// <summary>What went wrong with one operation of several.</summary>
    public static Failure FailureOf(HengeException e)
    {
        Failure failure = new() { Code = (Wire)(int)e.Code, Message = e.Message };
        if (e is NotLeaderException { LeaderHint: { } hint } known)
        {
            (failure.LeaderHint, failure.LeaderTerm) = (hint, (long)known.LeaderTerm.Value);
        }

        return failure;
    }

    private static NotLeader NotLeader(HengeException e)
    {
        NotLeader error = new() { Code = Wire.NOT_LEADER, Message = e.Message, LeaderHint = "", LeaderTerm = 0 };
        if (e is NotLeaderException { LeaderHint: { } hint } known)
        {
            (error.LeaderHint, error.LeaderTerm) = (hint, (long)known.LeaderTerm.Value);
        }

        return error;
    }
}

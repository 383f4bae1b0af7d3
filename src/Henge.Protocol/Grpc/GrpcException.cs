using Henge.Core;

namespace Henge.Protocol.Grpc;

/// <summary>A call that ends with a status other than OK: broken framing, a limit, or what the other end said.</summary>
public sealed class GrpcException : Exception
{
    /// <summary>Creates the error with a status, and the code in the <c>henge-error</c> trailer (<see cref="ErrorCode.None"/>: no trailer).</summary>
    public GrpcException(GrpcStatusCode status, string message, ErrorCode code = ErrorCode.None, Exception? inner = null) : base(message, inner)
    {
        Status = status;
        Code = code;
    }

    /// <summary>The status of the call.</summary>
    public GrpcStatusCode Status { get; }

    /// <summary>The finer code, where there is one.</summary>
    public ErrorCode Code { get; }
}

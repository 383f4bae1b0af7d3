namespace Henge.Protocol.Grpc;

/// <summary>
/// Names and values of the headers and trailers of a call (gRPC over HTTP/2, doc/PROTOCOL-HTTP2.md). All lower case, as HTTP/2 wants them.
/// </summary>
public static class GrpcHeaders
{
    /// <summary>The content type of requests and answers; <c>application/grpc+proto</c> is accepted too.</summary>
    public const string ContentType = "application/grpc";

    /// <summary>Trailer: the status as a number.</summary>
    public const string Status = "grpc-status";

    /// <summary>Trailer: the message, percent-encoded.</summary>
    public const string Message = "grpc-message";

    /// <summary>Request: how long the caller waits (<see cref="GrpcTimeout"/>).</summary>
    public const string Timeout = "grpc-timeout";

    /// <summary>How the sender's compressed messages are compressed.</summary>
    public const string Encoding = "grpc-encoding";

    /// <summary>The compression that both ends of Henge know, beside none.</summary>
    public const string Gzip = "gzip";

    /// <summary>No compression.</summary>
    public const string Identity = "identity";

    /// <summary>Request: who calls, by a password (Basic) or by a token (Bearer).</summary>
    public const string Authorization = "authorization";

    /// <summary>Trailer: the number of a <see cref="Core.ErrorCode"/>, in decimal.</summary>
    public const string HengeError = "henge-error";

    /// <summary>
    /// Request: the id of the cluster that the caller means. A node of another one refuses the call before it reads a message of it.
    /// </summary>
    public const string HengeCluster = "henge-cluster";

    /// <summary>Trailer: address of the leader, where the error is <see cref="Core.ErrorCode.NotLeader"/> and it is known.</summary>
    public const string HengeLeader = "henge-leader";

    /// <summary>
    /// Trailer: the term in which the node of <see cref="HengeLeader"/> leads, in decimal: one that is lower than what a caller knows is
    /// out of date.
    /// </summary>
    public const string HengeLeaderTerm = "henge-leader-term";
}

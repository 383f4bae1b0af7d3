namespace Henge.Protocol.Grpc;

/// <summary>The status codes of gRPC, as they stand in the <c>grpc-status</c> trailer (gRPC core, doc/statuscodes.md).</summary>
public enum GrpcStatusCode
{
    /// <summary>No error.</summary>
    Ok = 0,
    /// <summary>The caller gave up.</summary>
    Cancelled = 1,
    /// <summary>The outcome is not known, or an error without a better code.</summary>
    Unknown = 2,
    /// <summary>The request makes no sense, whatever the state of the system.</summary>
    InvalidArgument = 3,
    /// <summary>The deadline passed.</summary>
    DeadlineExceeded = 4,
    /// <summary>What was asked for is not there.</summary>
    NotFound = 5,
    /// <summary>What was to be created is there.</summary>
    AlreadyExists = 6,
    /// <summary>The caller may not.</summary>
    PermissionDenied = 7,
    /// <summary>Over a quota or a limit.</summary>
    ResourceExhausted = 8,
    /// <summary>The system is not in the state that the request needs.</summary>
    FailedPrecondition = 9,
    /// <summary>Conflict with another caller.</summary>
    Aborted = 10,
    /// <summary>Outside of what there is.</summary>
    OutOfRange = 11,
    /// <summary>No such method, or an encoding that is not known.</summary>
    Unimplemented = 12,
    /// <summary>A bug, or a broken protocol rule.</summary>
    Internal = 13,
    /// <summary>Not now; try again.</summary>
    Unavailable = 14,
    /// <summary>Data is damaged.</summary>
    DataLoss = 15,
    /// <summary>The caller did not say who it is.</summary>
    Unauthenticated = 16,
}

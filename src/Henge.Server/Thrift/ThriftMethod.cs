using System.Collections.Frozen;
using Henge.Core;
using Henge.Server.Access;

namespace Henge.Server.Thrift;

/// <summary>A call of the service. Immutable.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Rule">What it takes, once access is checked.</param>
/// <param name="Errors">The errors that it has an exception for; others are InternalError.</param>
internal sealed record ThriftMethod(string Name, AccessRule Rule, FrozenSet<ErrorCode> Errors)
{
    private static readonly ErrorCode[] AllHave =
    [
        ErrorCode.Unavailable, ErrorCode.Stopping, ErrorCode.Internal, ErrorCode.Unauthenticated,
    ];

    private static readonly ErrorCode[] OfKeys =
    [
        .. AllHave, ErrorCode.InvalidArgument, ErrorCode.TooLarge, ErrorCode.NotLeader, ErrorCode.DeadlineExceeded,
        ErrorCode.ResourceExhausted, ErrorCode.Corruption, ErrorCode.UnsupportedFormat, ErrorCode.PermissionDenied,
    ];

    private static readonly ErrorCode[] OfWrites = [.. OfKeys, ErrorCode.UnknownOutcome, ErrorCode.DiskFull, ErrorCode.WrongType];

    /// <summary>Says who asks.</summary>
    public static ThriftMethod Auth { get; } =
        Of("auth", AccessRule.Open, [.. AllHave, ErrorCode.InvalidArgument, ErrorCode.ResourceExhausted]);

    /// <summary>Reads a key.</summary>
    public static ThriftMethod Get { get; } = OfReads("get");

    /// <summary>Writes a key.</summary>
    public static ThriftMethod Put { get; } = Of("put", AccessRule.Keys, OfWrites);

    /// <summary>Deletes a key.</summary>
    public static ThriftMethod Remove { get; } = Of("remove", AccessRule.Keys, OfWrites);

    /// <summary>Reads a page of a range.</summary>
    public static ThriftMethod Scan { get; } = OfReads("scan");

    /// <summary>Reads several keys.</summary>
    public static ThriftMethod MultiGet { get; } = OfReads("multiGet");

    /// <summary>Writes several keys.</summary>
    public static ThriftMethod MultiPut { get; } = Of("multiPut", AccessRule.Keys, OfWrites);

    /// <summary>Does a transaction.</summary>
    public static ThriftMethod Txn { get; } = Of("txn", AccessRule.Keys, [.. OfWrites, ErrorCode.CrossShard]);

    /// <summary>Tells the node's state.</summary>
    public static ThriftMethod Status { get; } = Of("status", AccessRule.Known, [.. AllHave, ErrorCode.PermissionDenied]);

    /// <summary>All of them, by their names. What is not in it is not done.</summary>
    public static FrozenDictionary<string, ThriftMethod> All { get; } =
        new[] { Auth, Get, Put, Remove, Scan, MultiGet, MultiPut, Txn, Status }.ToFrozenDictionary(static m => m.Name);

    private static ThriftMethod OfReads(string name) => Of(name, AccessRule.Keys, [.. OfKeys, ErrorCode.HistoryGone]);

    private static ThriftMethod Of(string name, AccessRule rule, ErrorCode[] errors) => new(name, rule, errors.ToFrozenSet());
}

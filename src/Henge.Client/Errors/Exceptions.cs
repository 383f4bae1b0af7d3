using Henge.Core;

namespace Henge.Client;

/// <summary>The request makes no sense; repeating it will not help.</summary>
public sealed class InvalidRequestException(string message, Exception? inner = null)
    : HengeException(ErrorCode.InvalidArgument, message, inner);

/// <summary>A key, value, batch, message or result is over its limit.</summary>
public sealed class TooLargeException(string message, Exception? inner = null) : HengeException(ErrorCode.TooLarge, message, inner);

/// <summary>
/// The version or time asked for, or the place where a watch stood, is below the history that is kept. Begin anew from now.
/// </summary>
public sealed class HistoryGoneException(string message, Exception? inner = null) : HengeException(ErrorCode.HistoryGone, message, inner);

/// <summary>The asked node does not lead the shard, and no leader could be found within the deadline. Nothing was done.</summary>
public sealed class NotLeaderException(string message, string? leaderHint = null, Exception? inner = null)
    : HengeException(ErrorCode.NotLeader, message, inner)
{
    /// <summary>Address of the leader, where the node knew it.</summary>
    public string? LeaderHint { get; } = leaderHint;
}

/// <summary>No node could be reached, or there is no majority. Nothing was done; try again.</summary>
public sealed class UnavailableException(string message, Exception? inner = null) : HengeException(ErrorCode.Unavailable, message, inner);

/// <summary>
/// The write may or may not have taken effect. Repeating it through the same client is not a retry but a new write; to be sure, read first.
/// </summary>
public sealed class UnknownOutcomeException(string message, Exception? inner = null)
    : HengeException(ErrorCode.UnknownOutcome, message, inner);

/// <summary>The deadline passed, and nothing was changed.</summary>
public sealed class DeadlineExceededException(string message, Exception? inner = null)
    : HengeException(ErrorCode.DeadlineExceeded, message, inner);

/// <summary>Too much is under way, here or on the node; try again later.</summary>
public sealed class ResourceExhaustedException(string message, Exception? inner = null)
    : HengeException(ErrorCode.ResourceExhausted, message, inner);

/// <summary>Keys of one transaction lie on different shards. Give them a common part in braces, as in <c>{order:7}:total</c>.</summary>
public sealed class CrossShardException(string message, Exception? inner = null) : HengeException(ErrorCode.CrossShard, message, inner);

/// <summary>Data on a node's disk fails its checksum; the node refuses to serve it.</summary>
public sealed class CorruptionException(string message, Exception? inner = null) : HengeException(ErrorCode.Corruption, message, inner);

/// <summary>The node does not know this call or this version of it, or answered with what this client does not understand.</summary>
public sealed class UnsupportedFormatException(string message, Exception? inner = null)
    : HengeException(ErrorCode.UnsupportedFormat, message, inner);

/// <summary>The node's configuration does not fit its data or its cluster.</summary>
public sealed class MisconfiguredException(string message, Exception? inner = null)
    : HengeException(ErrorCode.Misconfigured, message, inner);

/// <summary>A bug in Henge, or an answer that breaks the protocol.</summary>
public sealed class InternalErrorException(string message, Exception? inner = null) : HengeException(ErrorCode.Internal, message, inner);

/// <summary>The client's session has expired on the cluster, so that a retry can no longer be told from a new request.</summary>
public sealed class SessionExpiredException(string message, Exception? inner = null)
    : HengeException(ErrorCode.SessionExpired, message, inner);

/// <summary>The node's disk is full; writes are refused until there is room.</summary>
public sealed class DiskFullException(string message, Exception? inner = null) : HengeException(ErrorCode.DiskFull, message, inner);

/// <summary>The stored value is not of the type that the operation needs.</summary>
public sealed class WrongTypeException(string message, Exception? inner = null) : HengeException(ErrorCode.WrongType, message, inner);

/// <summary>The cluster asks who calls, and the client has not said it, or not so that the cluster believes it. Nothing was done.</summary>
public sealed class UnauthenticatedException(string message, Exception? inner = null)
    : HengeException(ErrorCode.Unauthenticated, message, inner);

/// <summary>The user may not do that. Nothing was done.</summary>
public sealed class PermissionDeniedException(string message, Exception? inner = null)
    : HengeException(ErrorCode.PermissionDenied, message, inner);

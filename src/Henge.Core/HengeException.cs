namespace Henge.Core;

/// <summary>What kind of error it was. The numbers are on the wire: never change one.</summary>
public enum ErrorCode
{
    /// <summary>No error.</summary>
    None = 0,
    /// <summary>The request makes no sense; repeating it will not help.</summary>
    InvalidArgument = 1,
    /// <summary>A key, value, batch, message or result is over its limit.</summary>
    TooLarge = 2,
    /// <summary>The version or time asked for is below the history that is kept; the message names the oldest there is.</summary>
    HistoryGone = 3,
    /// <summary>This node does not lead the shard, and the caller asked not to be forwarded.</summary>
    NotLeader = 4,
    /// <summary>There is no majority, or no leader yet. Nothing was done; try again.</summary>
    Unavailable = 5,
    /// <summary>The operation may or may not have taken effect.</summary>
    UnknownOutcome = 6,
    /// <summary>The deadline passed before anything was done.</summary>
    DeadlineExceeded = 7,
    /// <summary>Too much is under way (queues, connections, watchers, disk space); try again later.</summary>
    ResourceExhausted = 8,
    /// <summary>Keys of one transaction lie on different shards.</summary>
    CrossShard = 9,
    /// <summary>Data on disk, or from a peer, fails its checksum or its invariants.</summary>
    Corruption = 10,
    /// <summary>A file or message has a format or version that this build does not know.</summary>
    UnsupportedFormat = 11,
    /// <summary>Another process holds the directory.</summary>
    Locked = 12,
    /// <summary>The node, cluster or configuration does not fit the data (wrong cluster id, known node with an empty directory…).</summary>
    Misconfigured = 13,
    /// <summary>The caller gave up.</summary>
    Cancelled = 14,
    /// <summary>The node is stopping.</summary>
    Stopping = 15,
    /// <summary>A bug in Henge.</summary>
    Internal = 16,
    /// <summary>The client's session has expired, so that a retry can no longer be told from a new request.</summary>
    SessionExpired = 17,
    /// <summary>The disk is full; writes are refused until there is room.</summary>
    DiskFull = 18,
    /// <summary>The stored value is not of the type that the operation needs (an increment of text, for example).</summary>
    WrongType = 19,
    /// <summary>Access is checked, and nobody said who asks, or not truly.</summary>
    Unauthenticated = 20,
    /// <summary>Who asks may not do that.</summary>
    PermissionDenied = 21,
}

/// <summary>An error that a user may see. The message says what was wrong and what to do about it.</summary>
public class HengeException : Exception
{
    /// <summary>Creates the error.</summary>
    public HengeException(ErrorCode code, string message) : base(message) => Code = code;

    /// <summary>Creates the error with the one that caused it.</summary>
    public HengeException(ErrorCode code, string message, Exception? inner) : base(message, inner) => Code = code;

    /// <summary>What kind of error it is.</summary>
    public ErrorCode Code { get; }
}

using System.Globalization;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Storage;

namespace Henge.Server.Operations;

/// <summary>
/// What a key, a value, a time, a version or a number may be: one answer for all doors (docs/protocol.md, "What a key, a value and a time
/// may be"). Each check throws <see cref="HengeException"/> (InvalidArgument, TooLarge, HistoryGone) with what was wrong and what to do.
/// Pure functions.
/// </summary>
internal static class KvValidation
{
    private const string TimeFormat = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";

    /// <summary>Checks the key of a request: any bytes, none included, up to the node's limit. It must have been given.</summary>
    public static void CheckKey(bool given, ReadOnlySpan<byte> key, NodeLimits limits)
    {
        if (!given)
        {
            throw Invalid("The key is not set. Name the key that is meant; the empty key must be set explicitly, to no bytes.");
        }

        CommandLimits.CheckKey(key, limits);
    }

    /// <summary>Checks a value: any bytes up to the node's limit.</summary>
    public static void CheckValue(ReadOnlySpan<byte> value, NodeLimits limits) => CommandLimits.CheckValue(value, limits);

    /// <summary>
    /// The version to read at, from the two ways to say it as numbers of a message, where zero means that nothing was said; zero: now.
    /// </summary>
    public static Core.Version ReadVersion(ulong version, long atUnixMs, IHengeNode node)
    {
        if (atUnixMs == 0)
        {
            return Version(version, "version");
        }

        if (version != 0)
        {
            throw Invalid("Both a version and a moment are set. Set one of them.");
        }

        return Moment(atUnixMs, node);
    }

    /// <summary>
    /// The version to read at for a moment: the last one of its millisecond. A moment that has yet to come means now (zero); one before
    /// 2025, where versions begin, is history that is gone.
    /// </summary>
    public static Core.Version Moment(long unixMs, IHengeNode node)
    {
        // Compared before anything is computed: the difference of extreme numbers would overflow.
        if (unixMs < Core.Version.EpochUnixMs)
        {
            throw new HengeException(
                ErrorCode.HistoryGone,
                $"The moment {Describe(unixMs)} is before 2025, where versions begin; the oldest version here is {node.OldestVersion}. (A "
                    + $"moment as a number is Unix time in milliseconds.)");
        }

        long milliseconds = unixMs - Core.Version.EpochUnixMs;
        return milliseconds >= node.Now.Milliseconds
            ? default
            : new Core.Version(Core.Version.FromMilliseconds(milliseconds + 1).Value - 1);
    }

    /// <summary>A version that a request names; zero where a message says nothing.</summary>
    public static Core.Version Version(ulong version, string name) => version <= Core.Version.MaxValue
        ? new Core.Version(version)
        : throw Invalid($"{name} {version} is above {Core.Version.MaxValue}, the largest version there can be.");

    /// <summary>A version in decimal digits: from 1 on, since who writes one down means one.</summary>
    public static Core.Version Version(string text, string name) =>
        ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong version)
        && version is > 0 and <= Core.Version.MaxValue
            ? new Core.Version(version)
            : throw Invalid($"'{name}' must be a version: a whole number from 1 to {Core.Version.MaxValue}. Leave it out to mean now.");

    /// <summary>The consistency that a number names.</summary>
    public static ReadConsistency Consistency(ulong number) => number <= (ulong)ReadConsistency.Stale
        ? (ReadConsistency)number
        : throw Invalid($"There is no consistency {number}. There are 0 (default), 1 (linearizable), 2 (lease) and 3 (stale).");

    /// <summary>What a value is, by the number of a message.</summary>
    public static DataType Type(ulong number) => number <= (ulong)DataType.Hash
        ? (DataType)number
        : throw Invalid($"There is no type {number} of values. There are 0 (bytes) and 1 (hash).");

    /// <summary>The expiry of a put, from the numbers of a message, where zero means that nothing was said.</summary>
    public static Expiry Ttl(ulong ttlSecs, ulong ttlMs, bool keep)
    {
        if (ttlSecs == 0 && ttlMs == 0)
        {
            return Expiry.Never;
        }

        if (keep)
        {
            throw Invalid("A time to live and keep_ttl are set. Set one of them, not both.");
        }

        return ttlMs != 0 ? Ttl(ttlMs) : Ttl(ttlSecs <= ulong.MaxValue / 1000 ? ttlSecs * 1000 : ulong.MaxValue);
    }

    /// <summary>
    /// A time to live of so many milliseconds, at least 1. What would end after the last moment that a version can say (in 2094) ends
    /// there.
    /// </summary>
    public static Expiry Ttl(ulong ttlMs) => ttlMs != 0
        ? Expiry.After((long)Math.Min(ttlMs, CommandLimits.MaxExpiryMs))
        : throw Invalid("A time to live is at least a millisecond. For a value that does not expire, leave it out.");

    /// <summary>The session of a write.</summary>
    public static SessionStamp Session(ulong clientId, ulong sequence, ulong flags)
    {
        if (flags > (ulong)(SessionFlags.Retry | SessionFlags.Continues))
        {
            throw Invalid($"session_flags is {flags}; there are 1 and 2, and their sum.");
        }

        if (sequence > SessionStamp.MaxSequence)
        {
            throw Invalid($"sequence is {sequence}; the largest is {SessionStamp.MaxSequence}.");
        }

        if (clientId == 0)
        {
            return sequence == 0 ? SessionStamp.None : throw Invalid("sequence is set and client_id is not. A session needs both.");
        }

        return sequence != 0
            ? new SessionStamp(clientId, sequence, (SessionFlags)flags)
            : throw Invalid("client_id is set and sequence is not. Sequences of a session begin at 1.");
    }

    /// <summary>The condition on a version, checked; zero: the key must not exist.</summary>
    public static Core.Version IfVersion(ulong version) => Version(version, "if_version");

    /// <summary>Checks how many comparisons and operations a transaction has.</summary>
    public static void CheckTxn(int parts, NodeLimits limits)
    {
        if (parts == 0)
        {
            throw Invalid("The transaction is empty. Add comparisons or operations.");
        }

        if (parts > limits.TxnOperations)
        {
            throw new HengeException(
                ErrorCode.TooLarge,
                $"The transaction has {parts} comparisons and operations; the limit is {limits.TxnOperations}. Split it, or raise the "
                    + $"node's limit.");
        }
    }

    /// <summary>Checks the encoded form of a write.</summary>
    /// <param name="bytes">How long it is.</param>
    /// <param name="limits">The node's limits.</param>
    /// <param name="what">What it is, for the message.</param>
    public static void CheckCommand(int bytes, NodeLimits limits, string what = "command")
    {
        if (bytes > limits.CommandBytes)
        {
            throw new HengeException(
                ErrorCode.TooLarge,
                $"The {what} has {bytes} bytes; the limit is {limits.CommandBytes}. Split it, or raise the node's limit for commands.");
        }
    }

    /// <summary>What a comparison with existence asks: that a key exists, or that it does not.</summary>
    public static bool Existence(CompareRelation relation, bool exists) => relation switch
    {
        CompareRelation.Equal => exists,
        CompareRelation.NotEqual => !exists,
        _ => throw Invalid("Existence can be EQUAL or NOT_EQUAL to true or false, and nothing else."),
    };

    /// <summary>The relation that a number names.</summary>
    public static CompareRelation Relation(int number) => number is >= 0 and <= (int)CompareRelation.Greater
        ? (CompareRelation)number
        : throw Invalid($"There is no relation {number} between things.");

    /// <summary>The error for a request that makes no sense.</summary>
    public static HengeException Invalid(string message) => new(ErrorCode.InvalidArgument, message);

    private static string Describe(long unixMs) => unixMs >= DateTimeOffset.MinValue.ToUnixTimeMilliseconds()
        ? DateTimeOffset.FromUnixTimeMilliseconds(unixMs).ToString(TimeFormat, CultureInfo.InvariantCulture)
        : unixMs.ToString(CultureInfo.InvariantCulture) + " ms";
}

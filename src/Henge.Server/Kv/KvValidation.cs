using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;

namespace Henge.Server.Kv;

/// <summary>Checks of what callers ask, with messages that say what was wrong. Pure functions.</summary>
internal static class KvValidation
{
    /// <summary>Checks the key of a request.</summary>
    public static void CheckKey(ReadOnlySpan<byte> key, NodeLimits limits)
    {
        if (key.IsEmpty)
        {
            throw Invalid("The key is empty. Name the key that is meant.");
        }

        CommandLimits.CheckKey(key, limits);
    }

    /// <summary>The version to read at, from the two ways to say it; zero: now.</summary>
    public static Core.Version ReadVersion(ulong version, long atUnixMs, IHengeNode node)
    {
        if (version > Core.Version.MaxValue)
        {
            throw Invalid($"The version {version} is above {Core.Version.MaxValue}, the largest there can be.");
        }

        if (atUnixMs == 0)
        {
            return new Core.Version(version);
        }

        if (version != 0)
        {
            throw Invalid("Both version and at_unix_ms are set. Set one of them.");
        }

        long milliseconds = atUnixMs - Core.Version.EpochUnixMs;
        if (milliseconds <= 0)
        {
            throw Invalid($"at_unix_ms {atUnixMs} is before 2025, where versions begin. It is Unix time in milliseconds.");
        }

        // The last version of that millisecond; a moment that has yet to come means now.
        return milliseconds >= node.Now.Milliseconds ? default : new Core.Version(Core.Version.FromMilliseconds(milliseconds + 1).Value - 1);
    }

    /// <summary>The consistency that a number names.</summary>
    public static ReadConsistency Consistency(ulong number) => number <= (ulong)ReadConsistency.Stale
        ? (ReadConsistency)number
        : throw Invalid($"There is no consistency {number}. There are 0 (default), 1 (linearizable), 2 (lease) and 3 (stale).");

    /// <summary>The expiry of a put.</summary>
    public static Expiry Ttl(ulong ttlSecs, ulong ttlMs)
    {
        if (ttlSecs == 0 && ttlMs == 0)
        {
            return Expiry.Never;
        }

        ulong limitMs = (ulong)CommandLimits.MaxExpiryMs;
        if (ttlMs > limitMs || (ttlMs == 0 && ttlSecs > limitMs / 1000))
        {
            throw Invalid($"The time to live is more than {limitMs / 1000} seconds, the longest there can be. For values that do not expire, leave it out.");
        }

        return Expiry.After((long)(ttlMs > 0 ? ttlMs : ttlSecs * 1000));
    }

    /// <summary>The session of a write.</summary>
    public static SessionStamp Session(ulong clientId, ulong sequence)
    {
        if (clientId == 0)
        {
            return sequence == 0 ? SessionStamp.None : throw Invalid("sequence is set and client_id is not. A session needs both.");
        }

        return sequence != 0 ? new SessionStamp(clientId, sequence) : throw Invalid("client_id is set and sequence is not. Sequences of a session begin at 1.");
    }

    /// <summary>The condition on a version, checked.</summary>
    public static Core.Version IfVersion(ulong version) => version <= Core.Version.MaxValue
        ? new Core.Version(version)
        : throw Invalid($"if_version {version} is above {Core.Version.MaxValue}, the largest version there can be.");

    public static HengeException Invalid(string message) => new(ErrorCode.InvalidArgument, message);
}

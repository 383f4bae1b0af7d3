namespace Henge.Node.StateMachine;

/// <summary>
/// Who sent a command, so that a retry takes effect at most once: a client's number, which it chose at random, and its number of the
/// request, which it raises with each new one.
/// </summary>
/// <param name="ClientId">The client; 0: no session.</param>
/// <param name="Sequence">The request, from 1 to <see cref="MaxSequence"/>.</param>
/// <param name="Flags">What the client knows of the request and of the session.</param>
public readonly record struct SessionStamp(ulong ClientId, ulong Sequence, SessionFlags Flags = SessionFlags.None)
{
    /// <summary>Bits of a sequence number; the two above hold the flags.</summary>
    internal const int SequenceBits = 62;

    /// <summary>The largest sequence number.</summary>
    public const ulong MaxSequence = (1UL << SequenceBits) - 1;

    /// <summary>No session: a retry may take effect twice.</summary>
    public static SessionStamp None => default;

    /// <summary>True without a session: one of both numbers is 0.</summary>
    public bool IsNone => ClientId == 0 || Sequence == 0;
}

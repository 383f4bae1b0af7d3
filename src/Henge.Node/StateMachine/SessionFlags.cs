namespace Henge.Node.StateMachine;

/// <summary>
/// What a client knows of a request in a session. It tells a session that has ended apart from one that begins (docs/decisions/0134). The
/// numbers are in the log and on the wire.
/// </summary>
[Flags]
public enum SessionFlags : byte
{
    /// <summary>Nothing is said: a session that is not known begins.</summary>
    None = 0,
    /// <summary>An earlier attempt of this request may have been done.</summary>
    Retry = 1,
    /// <summary>The client has had an answer in this session.</summary>
    Continues = 2,
}

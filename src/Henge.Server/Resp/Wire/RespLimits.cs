namespace Henge.Server.Resp.Wire;

/// <summary>Limits of the RESP door.</summary>
public sealed record RespLimits
{
    /// <summary>Most arguments of a command of a client that has to log in and has not, as in Redis.</summary>
    public const int StrangerArguments = 10;

    /// <summary>Most bytes of an argument, or of an inline command, of such a client, as in Redis.</summary>
    public const int StrangerArgumentBytes = 16 * 1024;

    /// <summary>Most bytes of requests and replies of such a client that wait.</summary>
    public const int StrangerWaitingBytes = 1024 * 1024;

    /// <summary>
    /// Most bytes of one connection that may wait: requests that were read and not done, and replies that the client has not taken. Over it
    /// the connection gets an error and ends. (Redis: client-output-buffer-limit and client-query-buffer-limit.)
    /// </summary>
    public long WaitingBytes { get; init; } = 128L * 1024 * 1024;

    /// <summary>
    /// Most bytes of all connections that may wait. A connection that would need more gets an error and ends. (Redis: maxmemory-clients.)
    /// </summary>
    public long WaitingMemoryBytes { get; init; } = 512L * 1024 * 1024;

    /// <summary>
    /// Most bytes that may wait for one subscriber when another message is published. Over it its connection is cut. (Redis:
    /// client-output-buffer-limit pubsub.)
    /// </summary>
    public long SubscriberBytes { get; init; } = 32L * 1024 * 1024;
}

namespace Henge.Server.Kv;

/// <summary>Limits of single streams of the key-value service.</summary>
public sealed record StreamLimits
{
    /// <summary>Most operations that a session may have under way. Over it the server reads no more of it until some have ended.</summary>
    public int SessionOperations { get; init; } = 16_384;

    /// <summary>Most bytes of requests that a session may have under way; one message is always let in.</summary>
    public int SessionBytes { get; init; } = 16 * 1024 * 1024;

    /// <summary>Most events that a watch sends between two looks at its caller's speed.</summary>
    public int WatchBatchItems { get; init; } = 512;

    /// <summary>Most bytes of events that a watch sends between two looks at its caller's speed.</summary>
    public int WatchBatchBytes { get; init; } = 256 * 1024;
}

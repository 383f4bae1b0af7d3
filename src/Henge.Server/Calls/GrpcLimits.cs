namespace Henge.Server.Calls;

/// <summary>Bounds on gRPC calls.</summary>
public sealed record GrpcLimits
{
    /// <summary>
    /// Longest message that is accepted, in bytes, packed and unpacked. Over it: RESOURCE_EXHAUSTED, before the message is read.
    /// </summary>
    public int MessageBytes { get; init; } = 16 * 1024 * 1024;

    /// <summary>Most calls under way at a time, streams included. Over it: RESOURCE_EXHAUSTED.</summary>
    public int Calls { get; init; } = 100_000;

    /// <summary>
    /// Most bytes of messages above 64 KiB that are on their way, in and out, of all callers together. Over it: RESOURCE_EXHAUSTED.
    /// </summary>
    public long MessageMemoryBytes { get; init; } = 1024L * 1024 * 1024;

    /// <summary>How long a stream may wait for a caller that takes nothing. Over it, the stream is cut.</summary>
    public TimeSpan StalledStreamTimeout { get; init; } = TimeSpan.FromMinutes(2);
}

using System.Security.Cryptography;
using Henge.Core;

namespace Henge.Storage.Logs;

/// <summary>Settings of a <see cref="SegmentedLog"/>. All may differ from one start to the next.</summary>
public sealed record SegmentedLogOptions
{
    /// <summary>
    /// Bytes of a segment's file: 64 MiB, from 16 KiB to 1 GiB. Smaller ones give space back sooner; each new one costs three syncs, so
    /// that much smaller ones are felt.
    /// </summary>
    public int SegmentBytes { get; init; } = 64 << 20;

    /// <summary>The largest payload of one record: 32 MiB unless a segment holds less. Larger ones are refused.</summary>
    public int MaxRecordBytes { get; init; } = 32 << 20;

    /// <summary>
    /// How many dropped segments are kept to be written anew (2); others are deleted. Writing to old space is what makes syncs cheap.
    /// </summary>
    public int MaxSpareSegments { get; init; } = 2;

    /// <summary>
    /// In a segment that was never written, how far ahead of the records zeros are written (1 MiB), so that the syncs that follow find
    /// their blocks in place and need no commit of the file system's journal (docs/decisions/0010). 0 for never.
    /// </summary>
    public int ZeroAheadBytes { get; init; } = 1 << 20;

    /// <summary>
    /// Gives the salt of a new segment's checksums. It must not be guessable by those who choose payloads: without it a value could hold
    /// bytes that pass for records when the segment is recycled. By default the system's random source; simulations pass a seeded one.
    /// </summary>
    public Func<ulong> NewSalt { get; init; } = static () => BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));

    /// <summary>The largest payload that fits both the setting and a segment.</summary>
    internal int EffectiveMaxRecordBytes => Math.Min(MaxRecordBytes, MaxBatchBytes - LogFormat.RecordHeaderBytes);

    /// <summary>The most bytes, framing included, that one append can take: an append never spans segments.</summary>
    internal int MaxBatchBytes => SegmentBytes - LogFormat.SegmentHeaderBytes - 2 * LogFormat.MarkBytes;

    internal void Validate()
    {
        Require(
            SegmentBytes is >= 16 << 10 and <= LogFormat.MaxSegmentBytes,
            nameof(SegmentBytes),
            SegmentBytes,
            "between 16 KiB and 1 GiB");
        Require(MaxRecordBytes > 0, nameof(MaxRecordBytes), MaxRecordBytes, "positive");
        Require(MaxSpareSegments >= 0, nameof(MaxSpareSegments), MaxSpareSegments, "0 or more");
        Require(ZeroAheadBytes >= 0, nameof(ZeroAheadBytes), ZeroAheadBytes, "0 or more");
    }

    private static void Require(bool condition, string name, int value, string rule)
    {
        if (!condition)
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"The log's setting {name} is {value}; it must be {rule}.");
        }
    }
}

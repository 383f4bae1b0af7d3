using System.Globalization;

namespace Henge.Storage.Logs;

/// <summary>Where a record of a <see cref="SegmentedLog"/> begins. Positions rise in the order of appends.</summary>
/// <param name="SegmentId">The segment; the first one of a log is 1.</param>
/// <param name="Offset">Bytes from the beginning of the segment's file.</param>
public readonly record struct LogPosition(uint SegmentId, uint Offset) : IComparable<LogPosition>
{
    /// <summary>Before every record.</summary>
    public static LogPosition Zero => default;

    /// <summary>Both numbers in one, in the same order: for indexes that keep millions of them.</summary>
    public ulong Value => ((ulong)SegmentId << 32) | Offset;

    /// <summary>The position for a <see cref="Value"/>.</summary>
    public static LogPosition FromValue(ulong value) => new((uint)(value >> 32), (uint)value);

    /// <inheritdoc/>
    public int CompareTo(LogPosition other) => Value.CompareTo(other.Value);

    /// <summary>Orders by segment, then offset.</summary>
    public static bool operator <(LogPosition left, LogPosition right) => left.Value < right.Value;

    /// <summary>Orders by segment, then offset.</summary>
    public static bool operator >(LogPosition left, LogPosition right) => left.Value > right.Value;

    /// <summary>Orders by segment, then offset.</summary>
    public static bool operator <=(LogPosition left, LogPosition right) => left.Value <= right.Value;

    /// <summary>Orders by segment, then offset.</summary>
    public static bool operator >=(LogPosition left, LogPosition right) => left.Value >= right.Value;

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{SegmentId}:{Offset}");
}

using System.Globalization;

namespace Henge.Core;

/// <summary>
/// A moment of a shard's history: at once the MVCC version, the storage engine's sequence number, a point in time and
/// the judge of expiry. It is a 53-bit hybrid logical clock (Kulkarni et al., 2014): 41 bits of milliseconds since
/// 2025-01-01T00:00:00Z, then 12 bits of counter whose overflow runs into the milliseconds. 53 bits fit a JSON number
/// exactly.
/// </summary>
/// <param name="Value">The packed number, at most <see cref="MaxValue"/>. 0 means "none", or "not there" in conditions.</param>
public readonly record struct Version(ulong Value) : IComparable<Version>
{
    /// <summary>Bits of the counter below the milliseconds.</summary>
    public const int CounterBits = 12;

    /// <summary>The largest number a version can have: 2^53 - 1.</summary>
    public const ulong MaxValue = (1UL << 53) - 1;

    /// <summary>Milliseconds from the Unix epoch to the epoch of versions, 2025-01-01T00:00:00Z.</summary>
    public const long EpochUnixMs = 1_735_689_600_000;

    /// <summary>No version.</summary>
    public static Version Zero => default;

    /// <summary>The earliest moment there is. <see cref="Zero"/> is none: it means that no version is given.</summary>
    public static Version First => new(1);

    /// <summary>
    /// The last version that a write may have. Above it there is room for the commands of one entry of a log, so that none of them gets a
    /// version that there is not.
    /// </summary>
    public static Version LastUsable => new(MaxValue - (1UL << 17));

    /// <summary>The largest version: reads at it see everything, also what has yet to be written.</summary>
    public static Version Max => new(MaxValue);

    /// <summary>True for <see cref="Zero"/>.</summary>
    public bool IsZero => Value == 0;

    /// <summary>Milliseconds since the epoch of versions.</summary>
    public long Milliseconds => (long)(Value >> CounterBits);

    /// <summary>The next version: one more on the counter.</summary>
    public Version Next => new(Value + 1);

    /// <summary>
    /// The first version of a millisecond since the epoch of versions; <see cref="First"/> for the epoch and what was before it,
    /// <see cref="Max"/> for what is beyond the range. Never <see cref="Zero"/>.
    /// </summary>
    public static Version FromMilliseconds(long milliseconds) => milliseconds switch
    {
        <= 0 => First,
        >= 1L << (53 - CounterBits) => Max,
        _ => new((ulong)milliseconds << CounterBits),
    };

    /// <summary>The first version of the millisecond in which a moment lies; <see cref="First"/> for moments before the epoch.</summary>
    public static Version FromTime(DateTimeOffset time) => FromMilliseconds(time.ToUnixTimeMilliseconds() - EpochUnixMs);

    /// <summary>The moment, to the millisecond.</summary>
    public DateTimeOffset ToTime() => DateTimeOffset.FromUnixTimeMilliseconds(Milliseconds + EpochUnixMs);

    /// <inheritdoc/>
    public int CompareTo(Version other) => Value.CompareTo(other.Value);

    /// <summary>Orders by number.</summary>
    public static bool operator <(Version left, Version right) => left.Value < right.Value;

    /// <summary>Orders by number.</summary>
    public static bool operator >(Version left, Version right) => left.Value > right.Value;

    /// <summary>Orders by number.</summary>
    public static bool operator <=(Version left, Version right) => left.Value <= right.Value;

    /// <summary>Orders by number.</summary>
    public static bool operator >=(Version left, Version right) => left.Value >= right.Value;

    /// <inheritdoc/>
    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);
}

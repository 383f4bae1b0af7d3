namespace Henge.Node.Watch;

/// <summary>Keys from a lower bound (inclusive) to an upper one (exclusive; empty: no end).</summary>
internal readonly struct KeyRange(ReadOnlyMemory<byte> lower, ReadOnlyMemory<byte> upper)
{
    public ReadOnlyMemory<byte> Lower { get; } = lower;

    public ReadOnlyMemory<byte> Upper { get; } = upper;

    /// <summary>True when it can hold one key only: the upper bound is the lower one and a zero byte.</summary>
    public bool IsOneKey => Upper.Length == Lower.Length + 1 && Upper.Span[^1] == 0 && Upper.Span[..^1].SequenceEqual(Lower.Span);

    /// <summary>How many bytes all keys of the range have in common at their beginning.</summary>
    public int CommonPrefixLength
    {
        get
        {
            ReadOnlySpan<byte> lower = Lower.Span;
            ReadOnlySpan<byte> upper = Upper.Span;
            int common = lower.CommonPrefixLength(upper);

            // The range of a prefix ends where its last byte that can be raised is raised; the prefix itself is common then.
            bool isPrefix =
                common + 1 == upper.Length
                && common < lower.Length
                && upper[common] == lower[common] + 1
                && lower[(common + 1)..].IndexOfAnyExcept((byte)0xFF) < 0;
            return isPrefix ? lower.Length : common;
        }
    }

    public bool Contains(ReadOnlySpan<byte> key) =>
        key.SequenceCompareTo(Lower.Span) >= 0 && (Upper.IsEmpty || key.SequenceCompareTo(Upper.Span) < 0);
}

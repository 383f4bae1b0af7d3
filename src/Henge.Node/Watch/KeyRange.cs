namespace Henge.Node.Watch;

/// <summary>Keys from a lower bound (inclusive) to an upper one (exclusive; empty: no end).</summary>
internal readonly struct KeyRange(ReadOnlyMemory<byte> lower, ReadOnlyMemory<byte> upper)
{
    public ReadOnlyMemory<byte> Lower { get; } = lower;

    public ReadOnlyMemory<byte> Upper { get; } = upper;

    /// <summary>True when it can hold one key only: the upper bound is the lower one and a zero byte.</summary>
    public bool IsOneKey => Upper.Length == Lower.Length + 1 && Upper.Span[^1] == 0 && Upper.Span[..^1].SequenceEqual(Lower.Span);

    public bool Contains(ReadOnlySpan<byte> key) => key.SequenceCompareTo(Lower.Span) >= 0 && (Upper.IsEmpty || key.SequenceCompareTo(Upper.Span) < 0);
}

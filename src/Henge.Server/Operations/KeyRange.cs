using Henge.Node.Api;
using Henge.Node.StateMachine;

namespace Henge.Server.Operations;

/// <summary>Ranges as requests name them: by prefix, or from start to end. Pure functions.</summary>
internal static class KeyRange
{
    /// <summary>
    /// The range from <c>Lower</c> (inclusive) to <c>Upper</c> (exclusive; empty: no end). Throws for both ways at once, and for a range
    /// that ends before it begins.
    /// </summary>
    public static (ReadOnlyMemory<byte> Lower, ReadOnlyMemory<byte> Upper) Create(
        ReadOnlyMemory<byte> prefix,
        ReadOnlyMemory<byte> start,
        ReadOnlyMemory<byte> end,
        NodeLimits limits)
    {
        CommandLimits.CheckKey(prefix.Span, limits);
        CommandLimits.CheckKey(start.Span, limits);
        CommandLimits.CheckKey(end.Span, limits);
        if (!prefix.IsEmpty)
        {
            return start.IsEmpty && end.IsEmpty
                ? (prefix, EndOfPrefix(prefix.Span))
                : throw KvValidation.Invalid("Both a prefix and a range are set. Set one of them.");
        }

        return end.IsEmpty || start.Span.SequenceCompareTo(end.Span) <= 0
            ? (start, end)
            : throw KvValidation.Invalid(
                "The range ends before it begins: end_key comes before start_key. For a descending scan set reverse, and leave the range "
                    + "as it is.");
    }

    /// <summary>The first key behind all that begin with a prefix; empty when there is none.</summary>
    public static byte[] EndOfPrefix(ReadOnlySpan<byte> prefix)
    {
        int last = prefix.Length - 1;
        while (last >= 0 && prefix[last] == 0xFF)
        {
            last--;
        }

        byte[] end = prefix[..(last + 1)].ToArray();
        if (last >= 0)
        {
            end[last]++;
        }

        return end;
    }
}

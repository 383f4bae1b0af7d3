using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;

namespace Henge.Server.Operations;

/// <summary>Ranges as requests name them: by prefix, or from start to end. Pure functions.</summary>
internal static class RequestedRange
{
    /// <summary>
    /// The range that is meant. Throws <see cref="HengeException"/> (InvalidArgument, TooLarge) for both ways at once, and for a range that
    /// ends before it begins.
    /// </summary>
    public static KeyRange Of(
        ReadOnlyMemory<byte> prefix, ReadOnlyMemory<byte> start, ReadOnlyMemory<byte> end, NodeLimits limits)
    {
        CommandLimits.CheckKey(prefix.Span, limits);
        CommandLimits.CheckKey(start.Span, limits);
        CommandLimits.CheckKey(end.Span, limits);
        if (!prefix.IsEmpty)
        {
            return start.IsEmpty && end.IsEmpty
                ? KeyRange.Prefix(prefix)
                : throw KvValidation.Invalid("Both a prefix and a range are set. Set one of them.");
        }

        return end.IsEmpty || start.Span.SequenceCompareTo(end.Span) <= 0
            ? KeyRange.Between(start, end)
            : throw KvValidation.Invalid(
                "The range ends before it begins: end_key comes before start_key. For a descending scan set reverse, and leave the range "
                    + "as it is.");
    }
}

using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Commands;

/// <summary>Reads EX, PX, EXAT and PXAT with their numbers.</summary>
internal static class ExpiryArgument
{
    /// <summary>
    /// Takes the unit at an index and the number behind it, of a command that may have one of them: the same unit again replaces it.
    /// </summary>
    /// <param name="arguments">The arguments.</param>
    /// <param name="index">Where to look; moved on to the number.</param>
    /// <param name="unit">Where the unit stands that was taken; 0: none was yet.</param>
    public static bool TryTake(RespArguments arguments, ref int index, ref int unit)
    {
        if (index + 1 >= arguments.Count || !IsUnit(arguments, index) || (unit != 0 && !IsSame(arguments, unit, index)))
        {
            return false;
        }

        unit = index++;
        return true;
    }

    /// <summary>Reads the unit at an index and the number behind it; an error in Redis's words when it makes no sense.</summary>
    public static string? Read(RespArguments arguments, int index, string command, long nowUnixMs, out Expiry expiry)
    {
        expiry = Expiry.Never;
        if (!arguments.TryInteger(index + 1, out long time))
        {
            return RespErrors.NotAnInteger;
        }

        bool relative = arguments.Is(index, "EX"u8) || arguments.Is(index, "PX"u8);
        long unitMs = arguments.Is(index, "EX"u8) || arguments.Is(index, "EXAT"u8) ? 1000 : 1;
        if (time <= 0 || !TryMake(time, unitMs, relative, nowUnixMs, out expiry))
        {
            return RespErrors.InvalidExpiry(command);
        }

        return null;
    }

    /// <summary>
    /// An expiry from a time in some unit. False where Redis refuses it: when the moment, in milliseconds of Unix time, does not fit into
    /// 64 bits. What is later than the last moment of versions ends there (decision 0100); what has passed deletes the key, so its exact
    /// value does not matter.
    /// </summary>
    public static bool TryMake(long time, long unitMs, bool relative, long nowUnixMs, out Expiry expiry)
    {
        expiry = Expiry.Never;
        if (time > long.MaxValue / unitMs || time < long.MinValue / unitMs)
        {
            return false;
        }

        long milliseconds = time * unitMs;
        if (!relative)
        {
            expiry = Expiry.At(Math.Max(milliseconds, 0) - Core.Version.EpochUnixMs);
            return true;
        }

        if (milliseconds > long.MaxValue - nowUnixMs)
        {
            return false;
        }

        expiry = milliseconds > 0 ? Expiry.After(Math.Min(milliseconds, CommandLimits.MaxExpiryMs)) : Expiry.At(1);
        return true;
    }

    /// <summary>This moment in milliseconds of Unix time.</summary>
    public static long NowUnixMs(IHengeNode node) => node.Now.Milliseconds + Core.Version.EpochUnixMs;

    private static bool IsUnit(RespArguments arguments, int index) =>
        arguments.Is(index, "EX"u8) || arguments.Is(index, "PX"u8) || arguments.Is(index, "EXAT"u8) || arguments.Is(index, "PXAT"u8);

    private static bool IsSame(RespArguments arguments, int index, int other) =>
        System.Text.Ascii.EqualsIgnoreCase(arguments.Span(index), arguments.Span(other));
}

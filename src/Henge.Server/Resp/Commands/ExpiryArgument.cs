using Henge.Core;
using Henge.Node.StateMachine;

namespace Henge.Server.Resp.Commands;

/// <summary>Reads EX, PX, EXAT and PXAT with their numbers.</summary>
internal static class ExpiryArgument
{
    public static bool IsUnit(RespArguments arguments, int index) =>
        arguments.Is(index, "EX"u8) || arguments.Is(index, "PX"u8) || arguments.Is(index, "EXAT"u8) || arguments.Is(index, "PXAT"u8);

    /// <summary>Reads the unit at an index and the number behind it; an error in Redis's words when it makes no sense.</summary>
    public static string? Read(RespArguments arguments, int index, string command, out Expiry expiry)
    {
        expiry = Expiry.Never;
        if (!arguments.TryInteger(index + 1, out long time))
        {
            return RespErrors.NotAnInteger;
        }

        long unitMs = arguments.Is(index, "EX"u8) || arguments.Is(index, "EXAT"u8) ? 1000 : 1;
        if (time <= 0 || time > long.MaxValue / 2000)
        {
            return RespErrors.InvalidExpiry(command);
        }

        bool relative = arguments.Is(index, "EX"u8) || arguments.Is(index, "PX"u8);
        expiry = relative ? Expiry.After(time * unitMs) : FromUnixMs(time * unitMs);
        return null;
    }

    /// <summary>A moment in Unix time; moments before the epoch of versions have passed, so their exact value does not matter.</summary>
    public static Expiry FromUnixMs(long unixMs) => Expiry.At(unixMs - Core.Version.EpochUnixMs);
}

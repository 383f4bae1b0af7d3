using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Output;

/// <summary>Says who is open to everybody and whose clock is off, in the status of a cluster.</summary>
internal static class StatusWarnings
{
    /// <summary>
    /// One line for each node that was started with <c>--insecure</c>, whose clock is not used because it is off, or whose versions are
    /// ahead of it.
    /// </summary>
    public static void Write(OutputWriter output, Wire.StatusResponse own, Wire.ClusterStatusResponse? all)
    {
        foreach (
            Wire.StatusResponse status in all is { Nodes.Count: > 0 }
                ? all.Nodes.Select(static n => n.Status).OfType<Wire.StatusResponse>()
                : [own])
        {
            if (status.Insecure)
            {
                output.WriteLine(
                    $"Insecure: {status.NodeId} was started with --insecure. Whoever reaches {status.Address} can read and write everything."
                );
            }

            if (status.Clock is not { } clock)
            {
                continue;
            }

            if (clock.Overruled)
            {
                output.WriteLine(
                    $"Clock: {status.NodeId} is {OfMs(Math.Abs(clock.SkewMs))} {(clock.SkewMs < 0 ? "behind" : "ahead of")} the majority "
                        + $"of the nodes' clocks, whose time is used in place of its own. Set its clock.");
            }

            if (clock.VersionLeadMs >= 1_000)
            {
                output.WriteLine(
                    $"Clock: the versions of a shard on {status.NodeId} are {OfMs((long)clock.VersionLeadMs)} ahead of the time. What is "
                        + $"written with a time to live lives longer by that.");
            }
        }
    }

    private static string OfMs(long milliseconds) => TextForm.OfDuration(TimeSpan.FromMilliseconds(milliseconds));
}

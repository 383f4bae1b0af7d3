namespace Henge.Client.Transport;

/// <summary>How an attempt's time is shared between the client and the node that it asks.</summary>
internal static class AttemptTiming
{
    private static readonly TimeSpan MostMargin = TimeSpan.FromMilliseconds(100);

    /// <summary>
    /// What a node is told of the time that the client waits: less by 100 ms, or by half where that is less, so that the node's own verdict
    /// ("nothing was done") still reaches the client. A client that gave up first would have to call a write's outcome unknown.
    /// </summary>
    /// <param name="timeout">How long the client waits.</param>
    /// <param name="isWarm">
    /// False when the node has not answered this client yet. The connection has to be made first, and code to be compiled, while the node
    /// counts from when it reads the request: so it is told a third. An attempt that this is too short for is only made again.
    /// </param>
    public static TimeSpan TimeoutOfNode(TimeSpan timeout, bool isWarm = true) =>
        !isWarm ? timeout / 3 : timeout - (timeout / 2 < MostMargin ? timeout / 2 : MostMargin);
}

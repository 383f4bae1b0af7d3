using Henge.Node.Api;

namespace Henge.Server.Operations;

/// <summary>
/// Where a <see cref="WatchPump"/> gives events to: a door, which formats and sends them. The pump makes rounds: it enters, gives events of
/// one read or more, has them sent, and leaves. One call at a time.
/// </summary>
internal interface IWatchOutput : IWatchReceiver
{
    /// <summary>Waits until events may be written.</summary>
    ValueTask EnterAsync();

    /// <summary>One read of the watch was given. True when there is room for another one before they are sent.</summary>
    /// <param name="watch">The watch, which says where it stands behind what was given.</param>
    bool OnRead(IWatch watch);

    /// <summary>Sends what was written; completes when there is room for the next round.</summary>
    /// <param name="watch">The watch, which says where it stands behind what was given.</param>
    /// <param name="isQuiet">True when there was nothing to give for as long as the pump was told to wait.</param>
    ValueTask SendAsync(IWatch watch, bool isQuiet);

    /// <summary>The round is over, whatever came of it.</summary>
    void Exit();
}

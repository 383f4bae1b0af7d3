using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>An open watch. One reader at a time.</summary>
public interface IWatch : IDisposable
{
    /// <summary>
    /// True once the watch stands: it is known where it begins, and what is acknowledged from then on is not missed. At once unless other
    /// nodes are to give a part of the events; then the watch's call is made when there is an answer. Throws <see cref="HengeException"/>
    /// with the reason when the watch cannot be opened: HistoryGone, Unavailable, ResourceExhausted.
    /// </summary>
    bool TryOpen();

    /// <summary>
    /// Gives the receiver up to so many events and bytes that are there now; false when there were none. Throws
    /// <see cref="HengeException"/> with <see cref="ErrorCode.HistoryGone"/> when the watch fell so far behind that events are lost: it
    /// never skips them silently. Gives nothing before the watch stands (<see cref="TryOpen"/>).
    /// </summary>
    bool TryRead(IWatchReceiver receiver, int limitItems, int limitBytes);

    /// <summary>
    /// Where the watch stands after the last <see cref="TryRead"/>: by shard, so that a later watch goes on without gap or repetition.
    /// Only once it stands (<see cref="TryOpen"/>).
    /// </summary>
    byte[] ResumeToken { get; }
}

using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>An open watch. One reader at a time.</summary>
public interface IWatch : IDisposable
{
    /// <summary>
    /// Gives the receiver up to so many events and bytes that are there now; false when there were none. Throws
    /// <see cref="HengeException"/> with <see cref="ErrorCode.HistoryGone"/> when the watch fell so far behind that events are lost: it
    /// never skips them silently.
    /// </summary>
    bool TryRead(IWatchReceiver receiver, int limitItems, int limitBytes);

    /// <summary>
    /// Where the watch stands after the last <see cref="TryRead"/>: by shard, so that a later watch goes on without gap or repetition.
    /// </summary>
    byte[] ResumeToken { get; }
}

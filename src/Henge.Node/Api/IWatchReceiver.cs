using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>Takes what a watch has. Spans are valid during the call only.</summary>
public interface IWatchReceiver
{
    /// <summary>One event, or a progress mark (empty key).</summary>
    void OnEvent(in WatchEventView watchEvent);
}

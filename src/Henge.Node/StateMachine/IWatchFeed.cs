using Henge.Storage;

namespace Henge.Node.StateMachine;

/// <summary>Takes what a state machine has applied, for watchers. Called by the shard's worker alone.</summary>
internal interface IWatchFeed
{
    /// <summary>A batch is applied.</summary>
    /// <param name="batch">Its entries, in order of their versions.</param>
    /// <param name="expiredOffsets">Where in the batch deletions stand that come of an expiry.</param>
    /// <param name="last">The version up to which everything has been told.</param>
    void Publish(WriteBatch batch, List<int> expiredOffsets, Core.Version last);

    /// <summary>The state was replaced by another one, as of a version: what was told is to be read from there.</summary>
    void Reset(Core.Version last);

    /// <summary>The node lets go of the replica: who reads goes on elsewhere. Called before anything of its state goes.</summary>
    void Close();
}

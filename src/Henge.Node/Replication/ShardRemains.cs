using Henge.Core;
using Henge.Node.Log;
using Henge.Raft;

namespace Henge.Node.Replication;

/// <summary>
/// What the node log says of a shard, apart from its entries: all that there is of a shard that is not hosted. Belongs to its worker.
/// </summary>
/// <param name="Shard">Which shard.</param>
/// <param name="Log">Its index of the node log; the same for all replicas that this node has of the shard, one after another.</param>
/// <param name="HardState">Term and vote: never forgotten, whatever is dropped.</param>
/// <param name="Forgotten">How far the log reached that was dropped.</param>
/// <param name="TermAtStart">Its term when the node started.</param>
/// <param name="Remote">Its operations while they are served elsewhere.</param>
internal sealed record ShardRemains(
    ShardId Shard,
    ShardLog Log,
    HardState HardState,
    ForgottenLog Forgotten,
    Term TermAtStart,
    RemoteShard Remote);

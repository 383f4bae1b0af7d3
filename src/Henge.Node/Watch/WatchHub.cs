using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Watch;

internal sealed class WatchHub(ShardId shard)
{
    private ulong _published;

    public ShardId Shard { get; } = shard;

    public Core.Version Published => new(Volatile.Read(ref _published));

    public void Publish(WriteBatch batch, List<int> expiredOffsets, Core.Version last) => Volatile.Write(ref _published, last.Value);

    public void Reset(Core.Version last) => Volatile.Write(ref _published, last.Value);
}

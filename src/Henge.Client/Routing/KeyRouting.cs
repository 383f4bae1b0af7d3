using Henge.Core;

namespace Henge.Client;

/// <summary>Where a key lies on the ring: the same rule as the nodes'. Pure functions.</summary>
internal static class KeyRouting
{
    /// <summary>
    /// The shard of a key: the high 32 bits of the xxHash64 of the key (or of what stands between its first <c>{</c> and the next <c>}</c>, if that is not
    /// empty) are its position on the ring of 2^32, which is cut into equal arcs.
    /// </summary>
    public static int ShardOf(ReadOnlySpan<byte> key, int shardCount)
    {
        uint position = (uint)(XxHash64.Hash(TagOf(key)) >> 32);
        return (int)(((ulong)position * (uint)shardCount) >> 32);
    }

    private static ReadOnlySpan<byte> TagOf(ReadOnlySpan<byte> key)
    {
        int open = key.IndexOf((byte)'{');
        if (open < 0)
        {
            return key;
        }

        int length = key[(open + 1)..].IndexOf((byte)'}');
        return length > 0 ? key.Slice(open + 1, length) : key;
    }
}

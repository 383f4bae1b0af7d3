using System.IO.Hashing;

namespace Henge.Core;

/// <summary>
/// Where a key stands on the ring of 2^32 positions. Pure functions; the results are part of the on-disk layout and never change.
/// </summary>
public static class KeyHash
{
    /// <summary>The high 32 bits of xxHash64 (seed 0) of the key's hashed part (see <see cref="HashedPart"/>).</summary>
    public static uint Position(ReadOnlySpan<byte> key) => (uint)(XxHash64.HashToUInt64(HashedPart(key)) >> 32);

    /// <summary>
    /// The part of a key that decides its position: what stands between the first '{' and the next '}' after it, when that is not empty
    /// (Redis Cluster specification, "hash tags"); else the whole key. Keys with equal parts lie on one shard.
    /// </summary>
    public static ReadOnlySpan<byte> HashedPart(ReadOnlySpan<byte> key)
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

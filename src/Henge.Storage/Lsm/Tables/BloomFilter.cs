using Henge.Core;

namespace Henge.Storage.Lsm;

/// <summary>A blocked Bloom filter.</summary>
internal static class BloomFilter
{
    /// <summary>The hash of keyspace and key. It is on disk by way of the filters: never change it.</summary>
    public static ulong Hash(ReadOnlySpan<byte> prefix) => XxHash64.Hash(prefix);
}

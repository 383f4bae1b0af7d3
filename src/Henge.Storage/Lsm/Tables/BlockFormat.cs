using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Tables;

/// <summary>
/// Reads data blocks in memory. <see cref="Validate"/> looks at every length in a block once, when it comes from the file; after that the
/// other functions trust it, and check nothing. A block has <see cref="BlockMemory.SlackBytes"/> readable bytes behind it.
/// </summary>
internal static unsafe class BlockFormat
{
    /// <summary>The first key's offset.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* Keys(byte* block) =>
        block + BlockHeader.Bytes + ((long)((BlockHeader*)block)->RestartCount * BlockHeader.RestartBytes);

    /// <summary>
    /// Asks for the lines that a search is likely to read, all at once: one after another, as the search finds out where to go, they would
    /// cost a miss each.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void PrefetchKeys(byte* block)
    {
        if (Sse.IsSupported)
        {
            Sse.Prefetch0(block);
            Sse.Prefetch0(block + 64);
            Sse.Prefetch0(block + 128);
            Sse.Prefetch0(block + 192);
            Sse.Prefetch0(block + 256);
            Sse.Prefetch0(block + 320);
            Sse.Prefetch0(block + 384);
            Sse.Prefetch0(block + 448);
        }
    }

    /// <summary>Which bits of a word loaded at an entry's version and kind are its own.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ulong MetaMask(byte* block) => (1UL << (((BlockHeader*)block)->MetaBytes * 8)) - 1;

    /// <summary>A restart point.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Restart(byte* block, int index, out byte* key, out byte* value)
    {
        uint* restart = (uint*)(block + BlockHeader.Bytes) + ((long)index * 2);
        key = block + restart[0];
        value = block + restart[1];
    }

    /// <summary>The lengths at the beginning of an entry; returns where its version and kind are.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static byte* ReadLengths(byte* entry, out int shared, out int suffix, out int value)
    {
        uint word = *(uint*)entry;
        if ((word & 0x808080) == 0)
        {
            // Nearly always: all three below 128.
            shared = (int)(word & 0x7F);
            suffix = (int)((word >> 8) & 0x7F);
            value = (int)((word >> 16) & 0x7F);
            return entry + 3;
        }

        entry = ReadVarint(entry, out shared);
        entry = ReadVarint(entry, out suffix);
        return ReadVarint(entry, out value);
    }

    private static byte* ReadVarint(byte* at, out int number)
    {
        uint result = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte b = *at++;
            result |= (uint)(b & 0x7F) << shift;
            if (b < 0x80)
            {
                number = (int)result;
                return at;
            }
        }
    }

    /// <summary>How many bytes two strings have in common at their beginnings; both have 8 readable bytes behind them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int CommonLength(byte* a, byte* b, int length)
    {
        for (int i = 0; i < length; i += sizeof(ulong))
        {
            ulong difference = *(ulong*)(a + i) ^ *(ulong*)(b + i);
            if (difference != 0)
            {
                return Math.Min(i + (BitOperations.TrailingZeroCount(difference) >> 3), length);
            }
        }

        return length;
    }

    /// <summary>
    /// The restart point from which a search for the first entry at or after a target begins: the last one before the target, or the first.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int FindRestart(byte* block, byte* target, int targetLength, ulong targetVersion, uint targetKind)
    {
        int low = 0, high = ((BlockHeader*)block)->RestartCount - 1;
        while (low < high)
        {
            int middle = (low + high + 1) >> 1;
            Restart(block, middle, out byte* entry, out _);
            byte* meta = ReadLengths(entry, out _, out int length, out _);
            byte* key = meta + ((BlockHeader*)block)->MetaBytes;
            int shorter = Math.Min(length, targetLength);
            int common = CommonLength(key, target, shorter);
            bool before = common < shorter ? key[common] < target[common]
                : length != targetLength ? length < targetLength
                : IsBefore(*(ulong*)meta & MetaMask(block), ((BlockHeader*)block)->BaseVersion, targetVersion, targetKind);
            if (before)
            {
                low = middle;
            }
            else
            {
                high = middle - 1;
            }
        }

        return low;
    }

    /// <summary>True when an entry of the target's key comes before the target: newer, or of the same version and a smaller kind.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool IsBefore(ulong meta, ulong baseVersion, ulong targetVersion, uint targetKind)
    {
        ulong version = baseVersion + (meta >> 2);
        return version > targetVersion || (version == targetVersion && (meta & 3) < targetKind);
    }

    /// <summary>
    /// Finds the newest entry of a key at or below a version, without putting any key together: with <c>match</c> the length that the
    /// target has in common with the entry before, an entry that shares more with that one is still before the target, one
    /// that shares less is after it, and only one that shares just as much must be compared, from there on.
    /// </summary>
    public static bool TryFind(byte* block, in LookupKey lookup, ref FoundEntry found)
    {
        byte* target = lookup.Pointer;
        int targetLength = lookup.PrefixLength;
        ulong at = lookup.At.Value;
        ulong baseVersion = ((BlockHeader*)block)->BaseVersion;
        int metaBytes = ((BlockHeader*)block)->MetaBytes;
        ulong mask = MetaMask(block);
        byte* end = block + ((BlockHeader*)block)->ValuesOffset;
        Restart(block, FindRestart(block, target, targetLength, at, 0), out byte* entry, out byte* value);
        int match = 0;
        while (entry < end)
        {
            byte* meta = ReadLengths(entry, out int shared, out int suffixLength, out int valueLength);
            byte* suffix = meta + metaBytes;
            if (shared <= match)
            {
                if (shared < match)
                {
                    if (shared != 0)
                    {
                        return false;
                    }

                    // Perhaps a restart point, which shares nothing on paper: compare the whole.
                    match = 0;
                }

                int rest = targetLength - match;
                int shorter = Math.Min(suffixLength, rest);
                int common = CommonLength(suffix, target + match, shorter);
                if (common < shorter)
                {
                    if (suffix[common] > target[match + common])
                    {
                        return false;
                    }
                }
                else if (suffixLength > rest)
                {
                    return false;
                }
                else if (suffixLength == rest)
                {
                    ulong word = *(ulong*)meta & mask;
                    ulong version = baseVersion + (word >> 2);
                    if (version <= at)
                    {
                        found.Version = new Core.Version(version);
                        found.SetValue((EntryKind)(word & 3), value, valueLength);
                        return true;
                    }
                }

                match += common;
            }

            entry = suffix + suffixLength;
            value += valueLength;
        }

        return false;
    }

    /// <summary>
    /// Checks that a block's header, restart points and lengths make sense, and lie within it, so that nothing ever reads outside. What is
    /// wrong, or null. The checksum has been checked before: this guards against bugs and forgeries, not against disks.
    /// </summary>
    public static string? Validate(byte* block, int length)
    {
        BlockHeader* header = (BlockHeader*)block;
        if (length < BlockHeader.Bytes || header->MetaBytes is < 1 or > 7 || header->BaseVersion > Core.Version.MaxValue
            || header->EntryCount < 1 || header->RestartCount < 1 || header->RestartCount > header->EntryCount
            || header->ValuesOffset < BlockHeader.Bytes || header->ValuesOffset > length
            || header->RestartCount > (header->ValuesOffset - BlockHeader.Bytes) / BlockHeader.RestartBytes)
        {
            return "a data block's header makes no sense";
        }

        byte* entry = Keys(block);
        byte* end = block + header->ValuesOffset;
        ulong mask = MetaMask(block);
        long value = header->ValuesOffset;
        int keyLength = 0, restart = 0;
        for (int i = 0; i < header->EntryCount; i++)
        {
            byte* start = entry;
            if (end - entry < 3 || !TryReadLengths(entry, end, out int shared, out int suffix, out int valueLength, out byte* meta)
                || end - meta < header->MetaBytes || end - meta - header->MetaBytes < suffix || shared > keyLength
                || length - value < valueLength)
            {
                return $"entry {i} of a data block does not fit";
            }

            bool isRestart = restart < header->RestartCount && ((uint*)(block + BlockHeader.Bytes))[restart * 2] == start - block;
            if (isRestart && (shared != 0 || ((uint*)(block + BlockHeader.Bytes))[(restart * 2) + 1] != value))
            {
                return $"restart point {restart} of a data block does not fit";
            }

            restart += isRestart ? 1 : 0;
            ulong word = *(ulong*)meta & mask;
            keyLength = shared + suffix;
            if ((i == 0 && !isRestart) || keyLength < InternalKey.KeyspaceBytes
                || header->BaseVersion + (word >> 2) > Core.Version.MaxValue
                || (EntryHeader.IsIn((EntryKind)(word & 3)) && valueLength < EntryHeader.Bytes))
            {
                return $"entry {i} of a data block makes no sense";
            }

            entry = meta + header->MetaBytes + suffix;
            value += valueLength;
        }

        return entry != end || value != length || restart != header->RestartCount ? "a data block's parts do not add up" : null;
    }

    private static bool TryReadLengths(byte* entry, byte* end, out int shared, out int suffix, out int value, out byte* meta)
    {
        suffix = value = 0;
        meta = entry;
        return TryReadVarint(ref meta, end, out shared)
            && TryReadVarint(ref meta, end, out suffix)
            && TryReadVarint(ref meta, end, out value);
    }

    private static bool TryReadVarint(ref byte* at, byte* end, out int number)
    {
        ulong result = 0;
        for (int shift = 0; shift <= 28 && at < end; shift += 7)
        {
            byte b = *at++;
            result |= (ulong)(b & 0x7F) << shift;
            if (b < 0x80)
            {
                number = (int)result;
                return result <= TableFormat.MaxBlockBytes;
            }
        }

        number = 0;
        return false;
    }
}

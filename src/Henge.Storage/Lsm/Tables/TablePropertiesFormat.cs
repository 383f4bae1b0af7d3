using Henge.Core;

namespace Henge.Storage.Lsm;

/// <summary>
/// The properties block (docs/formats.md): numbers and byte strings, each behind its tag. Tags that this build does not know are passed over. Pure functions.
/// </summary>
internal static class TablePropertiesFormat
{
    private enum Tag : byte
    {
        SmallestKey = 1,
        LargestKey = 2,
        MinVersion = 3,
        MaxVersion = 4,
        EntryCount = 5,
        TombstoneCount = 6,
        ExpiringCount = 7,
        GarbageCount = 8,
        MinExpiresAtMs = 9,
        RawKeyBytes = 10,
        RawValueBytes = 11,
        BlockCount = 12,
        FilterProbes = 13,
    }

    private const int TagCount = 14;

    /// <summary>Encodes the properties, and how many probes the filter's keys have.</summary>
    public static byte[] Encode(TableProperties properties, int filterProbes)
    {
        byte[] buffer = new byte[properties.SmallestKey.Length + properties.LargestKey.Length + 256];
        int at = 0;
        AppendBytes(buffer, ref at, Tag.SmallestKey, properties.SmallestKey);
        AppendBytes(buffer, ref at, Tag.LargestKey, properties.LargestKey);
        AppendNumber(buffer, ref at, Tag.MinVersion, properties.MinVersion.Value);
        AppendNumber(buffer, ref at, Tag.MaxVersion, properties.MaxVersion.Value);
        AppendNumber(buffer, ref at, Tag.EntryCount, (ulong)properties.EntryCount);
        AppendNumber(buffer, ref at, Tag.TombstoneCount, (ulong)properties.TombstoneCount);
        AppendNumber(buffer, ref at, Tag.ExpiringCount, (ulong)properties.ExpiringCount);
        AppendNumber(buffer, ref at, Tag.GarbageCount, (ulong)properties.GarbageCount);
        AppendNumber(buffer, ref at, Tag.MinExpiresAtMs, (ulong)properties.MinExpiresAtMs);
        AppendNumber(buffer, ref at, Tag.RawKeyBytes, (ulong)properties.RawKeyBytes);
        AppendNumber(buffer, ref at, Tag.RawValueBytes, (ulong)properties.RawValueBytes);
        AppendNumber(buffer, ref at, Tag.BlockCount, (ulong)properties.BlockCount);
        AppendNumber(buffer, ref at, Tag.FilterProbes, (ulong)filterProbes);
        return buffer[..at];
    }

    /// <summary>Decodes the properties of a file; null when they make no sense.</summary>
    public static TableProperties? Decode(ReadOnlySpan<byte> rest, long fileBytes, out int filterProbes)
    {
        byte[]?[] strings = new byte[]?[TagCount];
        ulong?[] numbers = new ulong?[TagCount];
        filterProbes = 0;
        while (!rest.IsEmpty)
        {
            byte tag = rest[0];
            rest = rest[1..];
            if (!Varint.TryRead(rest, out ulong number, out int size))
            {
                return null;
            }

            rest = rest[size..];
            bool isString = (tag & 1) == 1;
            if (isString && number > (ulong)rest.Length)
            {
                return null;
            }

            if (tag >> 1 < TagCount)
            {
                strings[tag >> 1] = isString ? rest[..(int)number].ToArray() : null;
                numbers[tag >> 1] = isString ? null : number;
            }

            rest = isString ? rest[(int)number..] : rest;
        }

        for (Tag tag = Tag.SmallestKey; tag <= Tag.FilterProbes; tag++)
        {
            bool isKey = tag <= Tag.LargestKey;
            if (isKey ? !InternalKey.IsWellFormed(strings[(int)tag]) : numbers[(int)tag] is null or > long.MaxValue)
            {
                return null;
            }
        }

        long Number(Tag tag) => (long)numbers[(int)tag]!.Value;
        TableProperties properties = new()
        {
            SmallestKey = strings[(int)Tag.SmallestKey]!,
            LargestKey = strings[(int)Tag.LargestKey]!,
            MinVersion = new Core.Version((ulong)Number(Tag.MinVersion)),
            MaxVersion = new Core.Version((ulong)Number(Tag.MaxVersion)),
            EntryCount = Number(Tag.EntryCount),
            TombstoneCount = Number(Tag.TombstoneCount),
            ExpiringCount = Number(Tag.ExpiringCount),
            GarbageCount = Number(Tag.GarbageCount),
            MinExpiresAtMs = Number(Tag.MinExpiresAtMs),
            RawKeyBytes = Number(Tag.RawKeyBytes),
            RawValueBytes = Number(Tag.RawValueBytes),
            BlockCount = (int)Math.Min(Number(Tag.BlockCount), int.MaxValue),
            FileBytes = fileBytes,
        };
        filterProbes = (int)Math.Min(Number(Tag.FilterProbes), byte.MaxValue);
        return InternalKey.Compare(properties.SmallestKey, properties.LargestKey) <= 0 && properties.MinVersion <= properties.MaxVersion
            && properties.EntryCount > 0 ? properties : null;
    }

    // The lowest bit of a tag byte says whether a string follows or only a number.
    private static void AppendNumber(byte[] buffer, ref int at, Tag tag, ulong value)
    {
        buffer[at++] = (byte)((int)tag << 1);
        at += Varint.Write(buffer.AsSpan(at), value);
    }

    private static void AppendBytes(byte[] buffer, ref int at, Tag tag, ReadOnlySpan<byte> bytes)
    {
        buffer[at++] = (byte)(((int)tag << 1) | 1);
        at += Varint.Write(buffer.AsSpan(at), (ulong)bytes.Length);
        bytes.CopyTo(buffer.AsSpan(at));
        at += bytes.Length;
    }
}

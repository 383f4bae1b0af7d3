using Henge.Core;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Tables;

/// <summary>
/// The properties block (docs/formats.md): numbers and byte strings, each behind its tag. Tags that this build does not know are passed
/// over. Pure functions.
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
        SpanWriter writer = new(buffer);
        WriteBytes(ref writer, Tag.SmallestKey, properties.SmallestKey);
        WriteBytes(ref writer, Tag.LargestKey, properties.LargestKey);
        WriteNumber(ref writer, Tag.MinVersion, properties.MinVersion.Value);
        WriteNumber(ref writer, Tag.MaxVersion, properties.MaxVersion.Value);
        WriteNumber(ref writer, Tag.EntryCount, (ulong)properties.EntryCount);
        WriteNumber(ref writer, Tag.TombstoneCount, (ulong)properties.TombstoneCount);
        WriteNumber(ref writer, Tag.ExpiringCount, (ulong)properties.ExpiringCount);
        WriteNumber(ref writer, Tag.GarbageCount, (ulong)properties.GarbageCount);
        WriteNumber(ref writer, Tag.MinExpiresAtMs, (ulong)properties.MinExpiresAtMs);
        WriteNumber(ref writer, Tag.RawKeyBytes, (ulong)properties.RawKeyBytes);
        WriteNumber(ref writer, Tag.RawValueBytes, (ulong)properties.RawValueBytes);
        WriteNumber(ref writer, Tag.BlockCount, (ulong)properties.BlockCount);
        WriteNumber(ref writer, Tag.FilterProbes, (ulong)filterProbes);
        return buffer[..writer.Written];
    }

    /// <summary>Decodes the properties of a file; null when they make no sense.</summary>
    public static TableProperties? Decode(ReadOnlySpan<byte> encoded, long fileBytes, out int filterProbes)
    {
        byte[]?[] strings = new byte[]?[TagCount];
        ulong?[] numbers = new ulong?[TagCount];
        filterProbes = 0;
        SpanReader reader = new(encoded);
        while (!reader.IsEmpty)
        {
            byte tag = reader.ReadByte();
            bool isString = (tag & 1) == 1;
            ReadOnlySpan<byte> text = isString ? reader.ReadBytes() : default;
            ulong number = isString ? 0 : reader.ReadVarint();
            if (reader.Failed)
            {
                return null;
            }

            if (tag >> 1 < TagCount)
            {
                strings[tag >> 1] = isString ? text.ToArray() : null;
                numbers[tag >> 1] = isString ? null : number;
            }
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
    private static void WriteNumber(ref SpanWriter writer, Tag tag, ulong value)
    {
        writer.WriteByte((byte)((int)tag << 1));
        writer.WriteVarint(value);
    }

    private static void WriteBytes(ref SpanWriter writer, Tag tag, ReadOnlySpan<byte> bytes)
    {
        writer.WriteByte((byte)(((int)tag << 1) | 1));
        writer.WriteBytes(bytes);
    }
}

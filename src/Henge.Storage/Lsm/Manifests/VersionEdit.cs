using System.Buffers;
using Henge.Core;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Manifests;

/// <summary>
/// One atomic change of what the engine consists of: tables added and removed, positions that became durable with them, ranges dropped.
/// The manifest is a log of these. Encoded as fields, each a tag byte and then varints and length-prefixed bytes (docs/formats.md).
/// </summary>
internal sealed class VersionEdit
{
    /// <summary>How many levels there are: L0 and those below it.</summary>
    public const int LevelCount = 7;

    private enum Tag : byte
    {
        NextFileNumber = 1,
        Epoch = 2,
        HistoryFloor = 3,
        LogFloor = 4,
        AddTable = 5,
        RemoveTable = 6,
        Position = 7,
        KeyspaceVersion = 8,
        AddDrop = 9,
        RetireDrop = 10,
        ForgetKeyspace = 11,
    }

    public ulong? NextFileNumber { get; set; }

    public ulong? Epoch { get; set; }

    public Core.Version? HistoryFloor { get; set; }

    /// <summary>Records of the engine's own log below this are in tables.</summary>
    public ulong? LogFloor { get; set; }

    public List<(int Level, TableMeta Table)> AddedTables { get; } = [];

    public List<(int Level, ulong Number)> RemovedTables { get; } = [];

    public List<(uint Stream, ulong Position)> Positions { get; } = [];

    public List<(uint Keyspace, Core.Version Version)> KeyspaceVersions { get; } = [];

    public List<RangeDrop> AddedDrops { get; } = [];

    public List<ulong> RetiredDrops { get; } = [];

    public List<uint> ForgottenKeyspaces { get; } = [];

    public byte[] Encode()
    {
        var writer = new ArrayBufferWriter<byte>(256);
        if (NextFileNumber is { } next)
        {
            writer.WriteByte((byte)Tag.NextFileNumber);
            writer.WriteVarint(next);
        }

        if (Epoch is { } epoch)
        {
            writer.WriteByte((byte)Tag.Epoch);
            writer.WriteVarint(epoch);
        }

        if (HistoryFloor is { } floor)
        {
            writer.WriteByte((byte)Tag.HistoryFloor);
            writer.WriteVarint(floor.Value);
        }

        if (LogFloor is { } logFloor)
        {
            writer.WriteByte((byte)Tag.LogFloor);
            writer.WriteVarint(logFloor);
        }

        foreach ((int level, ulong number) in RemovedTables)
        {
            writer.WriteByte((byte)Tag.RemoveTable);
            writer.WriteVarint((ulong)level);
            writer.WriteVarint(number);
        }

        foreach ((int level, TableMeta table) in AddedTables)
        {
            writer.WriteByte((byte)Tag.AddTable);
            writer.WriteVarint((ulong)level);
            writer.WriteVarint(table.Number);
            writer.WriteVarint((ulong)table.Bytes);
            writer.WriteBytes(table.Smallest);
            writer.WriteBytes(table.Largest);
            writer.WriteVarint(table.MinVersion.Value);
            writer.WriteVarint(table.MaxVersion.Value);
            writer.WriteVarint((ulong)table.Entries);
            writer.WriteVarint((ulong)table.Tombstones);
            writer.WriteVarint((ulong)table.Garbage);
            writer.WriteVarint((ulong)table.Expiring);
            writer.WriteVarint((ulong)table.MaxExpiresAtMs);
            writer.WriteVarint(table.Epoch);
        }

        foreach (uint keyspace in ForgottenKeyspaces)
        {
            writer.WriteByte((byte)Tag.ForgetKeyspace);
            writer.WriteVarint(keyspace);
        }

        foreach ((uint stream, ulong position) in Positions)
        {
            writer.WriteByte((byte)Tag.Position);
            writer.WriteVarint(stream);
            writer.WriteVarint(position);
        }

        foreach ((uint keyspace, Core.Version version) in KeyspaceVersions)
        {
            writer.WriteByte((byte)Tag.KeyspaceVersion);
            writer.WriteVarint(keyspace);
            writer.WriteVarint(version.Value);
        }

        foreach (RangeDrop drop in AddedDrops)
        {
            writer.WriteByte((byte)Tag.AddDrop);
            writer.WriteVarint(drop.Epoch);
            writer.WriteVarint(drop.Keyspace);
            writer.WriteBytes(drop.Lower);
            writer.WriteBytes(drop.Upper);
            writer.WriteVarint(drop.LogPosition);
        }

        foreach (ulong retired in RetiredDrops)
        {
            writer.WriteByte((byte)Tag.RetireDrop);
            writer.WriteVarint(retired);
        }

        return writer.WrittenSpan.ToArray();
    }

    /// <summary>Reads an edit; false when the bytes make no sense (nothing outside of them is read).</summary>
    public static bool TryDecode(ReadOnlySpan<byte> encoded, out VersionEdit edit)
    {
        edit = new VersionEdit();
        var reader = new SpanReader(encoded);
        while (!reader.IsEmpty)
        {
            edit.ReadField(ref reader);
            if (reader.Failed)
            {
                return false;
            }
        }

        return true;
    }

    private void ReadField(ref SpanReader reader)
    {
        switch ((Tag)reader.ReadByte())
        {
            case Tag.NextFileNumber:
                NextFileNumber = reader.ReadVarint();
                break;
            case Tag.Epoch:
                Epoch = reader.ReadVarint();
                break;
            case Tag.HistoryFloor:
                HistoryFloor = new Core.Version(reader.ReadVarint(Core.Version.MaxValue));
                break;
            case Tag.LogFloor:
                LogFloor = reader.ReadVarint();
                break;
            case Tag.AddTable:
                ReadTable(ref reader);
                break;
            case Tag.RemoveTable:
                RemovedTables.Add(((int)reader.ReadVarint(VersionEdit.LevelCount - 1), reader.ReadVarint()));
                break;
            case Tag.Position:
                Positions.Add(((uint)reader.ReadVarint(uint.MaxValue), reader.ReadVarint()));
                break;
            case Tag.KeyspaceVersion:
                KeyspaceVersions.Add(((uint)reader.ReadVarint(uint.MaxValue), new Core.Version(reader.ReadVarint(Core.Version.MaxValue))));
                break;
            case Tag.AddDrop:
                ulong epoch = reader.ReadVarint();
                uint keyspace = (uint)reader.ReadVarint(uint.MaxValue);
                ReadOnlySpan<byte> lower = reader.ReadBytes();
                ReadOnlySpan<byte> upper = reader.ReadBytes();
                AddedDrops.Add(new RangeDrop(epoch, keyspace, lower, upper, reader.ReadVarint()));
                break;
            case Tag.RetireDrop:
                RetiredDrops.Add(reader.ReadVarint());
                break;
            case Tag.ForgetKeyspace:
                ForgottenKeyspaces.Add((uint)reader.ReadVarint(uint.MaxValue));
                break;
            default:
                reader.Fail();
                break;
        }
    }

    private void ReadTable(ref SpanReader reader)
    {
        int level = (int)reader.ReadVarint(VersionEdit.LevelCount - 1);
        var table = new TableMeta
        {
            Number = reader.ReadVarint(),
            Bytes = (long)reader.ReadVarint(long.MaxValue),
            Smallest = reader.ReadBytes().ToArray(),
            Largest = reader.ReadBytes().ToArray(),
            MinVersion = new Core.Version(reader.ReadVarint(Core.Version.MaxValue)),
            MaxVersion = new Core.Version(reader.ReadVarint(Core.Version.MaxValue)),
            Entries = (long)reader.ReadVarint(long.MaxValue),
            Tombstones = (long)reader.ReadVarint(long.MaxValue),
            Garbage = (long)reader.ReadVarint(long.MaxValue),
            Expiring = (long)reader.ReadVarint(long.MaxValue),
            MaxExpiresAtMs = (long)reader.ReadVarint(long.MaxValue),
            Epoch = reader.ReadVarint(),
        };
        if (!InternalKey.IsWellFormed(table.Smallest) || !InternalKey.IsWellFormed(table.Largest)
            || InternalKey.Compare(table.Smallest, table.Largest) > 0)
        {
            reader.Fail();
            return;
        }

        AddedTables.Add((level, table));
    }

    /// <summary>Readable lines, for dumps.</summary>
    public IEnumerable<string> Describe()
    {
        if (NextFileNumber is { } next)
        {
            yield return $"next file number {next}";
        }

        if (Epoch is { } epoch)
        {
            yield return $"epoch {epoch}";
        }

        if (HistoryFloor is { } floor)
        {
            yield return $"history floor {floor}";
        }

        if (LogFloor is { } logFloor)
        {
            yield return $"log floor {logFloor}";
        }

        foreach ((int level, ulong number) in RemovedTables)
        {
            yield return $"remove L{level} {EngineFiles.Table(number)}";
        }

        foreach ((int level, TableMeta table) in AddedTables)
        {
            yield return $"add L{level} {table}";
        }

        foreach (uint keyspace in ForgottenKeyspaces)
        {
            yield return $"forget the versions of keyspace {keyspace}";
        }

        foreach ((uint stream, ulong position) in Positions)
        {
            yield return $"stream {stream} is durable up to {position}";
        }

        foreach ((uint keyspace, Core.Version version) in KeyspaceVersions)
        {
            yield return $"keyspace {keyspace} is at version {version}";
        }

        foreach (RangeDrop drop in AddedDrops)
        {
            yield return drop.ToString();
        }

        foreach (ulong retired in RetiredDrops)
        {
            yield return $"the drop of epoch {retired} is done";
        }
    }
}

using Henge.Core;

namespace Henge.Storage.Lsm;

/// <summary>
/// One atomic change of what the engine consists of: tables added and removed, positions that became durable with them, ranges dropped.
/// The manifest is a log of these. Encoded as fields, each a tag byte and then varints and length-prefixed bytes (docs/formats.md).
/// </summary>
internal sealed class VersionEdit
{
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
        var writer = new FieldWriter();
        if (NextFileNumber is { } next)
        {
            writer.Tag((byte)Tag.NextFileNumber).Number(next);
        }

        if (Epoch is { } epoch)
        {
            writer.Tag((byte)Tag.Epoch).Number(epoch);
        }

        if (HistoryFloor is { } floor)
        {
            writer.Tag((byte)Tag.HistoryFloor).Number(floor.Value);
        }

        if (LogFloor is { } logFloor)
        {
            writer.Tag((byte)Tag.LogFloor).Number(logFloor);
        }

        foreach ((int level, ulong number) in RemovedTables)
        {
            writer.Tag((byte)Tag.RemoveTable).Number((ulong)level).Number(number);
        }

        foreach ((int level, TableMeta table) in AddedTables)
        {
            writer.Tag((byte)Tag.AddTable).Number((ulong)level).Number(table.Number).Number((ulong)table.Bytes)
                .Bytes(table.Smallest).Bytes(table.Largest).Number(table.MinVersion.Value).Number(table.MaxVersion.Value)
                .Number((ulong)table.Entries).Number((ulong)table.Tombstones).Number((ulong)table.Garbage)
                .Number((ulong)table.Expiring).Number((ulong)table.MaxExpiresAtMs).Number(table.Epoch);
        }

        foreach (uint keyspace in ForgottenKeyspaces)
        {
            writer.Tag((byte)Tag.ForgetKeyspace).Number(keyspace);
        }

        foreach ((uint stream, ulong position) in Positions)
        {
            writer.Tag((byte)Tag.Position).Number(stream).Number(position);
        }

        foreach ((uint keyspace, Core.Version version) in KeyspaceVersions)
        {
            writer.Tag((byte)Tag.KeyspaceVersion).Number(keyspace).Number(version.Value);
        }

        foreach (RangeDrop drop in AddedDrops)
        {
            writer.Tag((byte)Tag.AddDrop).Number(drop.Epoch).Number(drop.Keyspace).Bytes(drop.Lower).Bytes(drop.Upper).Number(drop.LogPosition);
        }

        foreach (ulong retired in RetiredDrops)
        {
            writer.Tag((byte)Tag.RetireDrop).Number(retired);
        }

        return writer.ToArray();
    }

    /// <summary>Reads an edit; false when the bytes make no sense (nothing outside of them is read).</summary>
    public static bool TryDecode(ReadOnlySpan<byte> encoded, out VersionEdit edit)
    {
        edit = new VersionEdit();
        var reader = new FieldReader(encoded);
        while (!reader.AtEnd)
        {
            edit.ReadField(ref reader);
            if (reader.Damaged)
            {
                return false;
            }
        }

        return true;
    }

    private void ReadField(ref FieldReader reader)
    {
        switch ((Tag)reader.Tag())
        {
            case Tag.NextFileNumber:
                NextFileNumber = reader.Number();
                break;
            case Tag.Epoch:
                Epoch = reader.Number();
                break;
            case Tag.HistoryFloor:
                HistoryFloor = new Core.Version(reader.Number(Core.Version.MaxValue));
                break;
            case Tag.LogFloor:
                LogFloor = reader.Number();
                break;
            case Tag.AddTable:
                ReadTable(ref reader);
                break;
            case Tag.RemoveTable:
                RemovedTables.Add(((int)reader.Number(LevelSet.LevelCount - 1), reader.Number()));
                break;
            case Tag.Position:
                Positions.Add(((uint)reader.Number(uint.MaxValue), reader.Number()));
                break;
            case Tag.KeyspaceVersion:
                KeyspaceVersions.Add(((uint)reader.Number(uint.MaxValue), new Core.Version(reader.Number(Core.Version.MaxValue))));
                break;
            case Tag.AddDrop:
                ulong epoch = reader.Number();
                uint keyspace = (uint)reader.Number(uint.MaxValue);
                ReadOnlySpan<byte> lower = reader.Bytes();
                ReadOnlySpan<byte> upper = reader.Bytes();
                AddedDrops.Add(new RangeDrop(epoch, keyspace, lower, upper, reader.Number()));
                break;
            case Tag.RetireDrop:
                RetiredDrops.Add(reader.Number());
                break;
            case Tag.ForgetKeyspace:
                ForgottenKeyspaces.Add((uint)reader.Number(uint.MaxValue));
                break;
            default:
                reader.Fail();
                break;
        }
    }

    private void ReadTable(ref FieldReader reader)
    {
        int level = (int)reader.Number(LevelSet.LevelCount - 1);
        var table = new TableMeta
        {
            Number = reader.Number(),
            Bytes = (long)reader.Number(long.MaxValue),
            Smallest = reader.Bytes().ToArray(),
            Largest = reader.Bytes().ToArray(),
            MinVersion = new Core.Version(reader.Number(Core.Version.MaxValue)),
            MaxVersion = new Core.Version(reader.Number(Core.Version.MaxValue)),
            Entries = (long)reader.Number(long.MaxValue),
            Tombstones = (long)reader.Number(long.MaxValue),
            Garbage = (long)reader.Number(long.MaxValue),
            Expiring = (long)reader.Number(long.MaxValue),
            MaxExpiresAtMs = (long)reader.Number(long.MaxValue),
            Epoch = reader.Number(),
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

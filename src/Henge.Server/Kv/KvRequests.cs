namespace Henge.Server.Kv;

/// <summary>The fields of a GetRequest, read in place.</summary>
internal ref struct GetFields
{
    public bool HasKey;
    public ReadOnlySpan<byte> Key;
    public ulong Version;
    public long AtUnixMs;
    public ulong Consistency;
    public bool LeaderOnly;

    public static GetFields Parse(ReadOnlySpan<byte> message)
    {
        GetFields fields = default;
        ProtoReader reader = new(message);
        while (reader.Read())
        {
            switch (reader.Field)
            {
                case 1:
                    fields.HasKey = true;
                    fields.Key = reader.Bytes;
                    break;
                case 2:
                    fields.Version = reader.Number;
                    break;
                case 3:
                    fields.AtUnixMs = (long)reader.Number;
                    break;
                case 4:
                    fields.Consistency = reader.Number;
                    break;
                case 5:
                    fields.LeaderOnly = reader.Number != 0;
                    break;
            }
        }

        return fields;
    }
}

/// <summary>The fields of a PutRequest, read in place.</summary>
internal ref struct PutFields
{
    public bool HasKey;
    public ReadOnlySpan<byte> Key;
    public ReadOnlySpan<byte> Value;
    public ulong TtlSecs;
    public ulong TtlMs;
    public bool HasIfVersion;
    public ulong IfVersion;
    public bool ReturnPrevious;
    public bool LeaderOnly;
    public ulong ClientId;
    public ulong Sequence;
    public ulong SessionFlags;
    public bool KeepTtl;
    public ulong Type;

    public static PutFields Parse(ReadOnlySpan<byte> message)
    {
        PutFields fields = default;
        ProtoReader reader = new(message);
        while (reader.Read())
        {
            switch (reader.Field)
            {
                case 1:
                    fields.HasKey = true;
                    fields.Key = reader.Bytes;
                    break;
                case 2:
                    fields.Value = reader.Bytes;
                    break;
                case 3:
                    fields.TtlSecs = reader.Number;
                    break;
                case 4:
                    fields.TtlMs = reader.Number;
                    break;
                case 5:
                    fields.HasIfVersion = true;
                    fields.IfVersion = reader.Number;
                    break;
                case 6:
                    fields.ReturnPrevious = reader.Number != 0;
                    break;
                case 7:
                    fields.LeaderOnly = reader.Number != 0;
                    break;
                case 8:
                    fields.ClientId = reader.Number;
                    break;
                case 9:
                    fields.Sequence = reader.Number;
                    break;
                case 10:
                    fields.KeepTtl = reader.Number != 0;
                    break;
                case 11:
                    fields.SessionFlags = reader.Number;
                    break;
                case 12:
                    fields.Type = reader.Number;
                    break;
            }
        }

        return fields;
    }
}

/// <summary>The fields of a DeleteRequest, read in place.</summary>
internal ref struct DeleteFields
{
    public bool HasKey;
    public ReadOnlySpan<byte> Key;
    public bool HasIfVersion;
    public ulong IfVersion;
    public bool ReturnPrevious;
    public bool LeaderOnly;
    public ulong ClientId;
    public ulong Sequence;
    public ulong SessionFlags;

    public static DeleteFields Parse(ReadOnlySpan<byte> message)
    {
        DeleteFields fields = default;
        ProtoReader reader = new(message);
        while (reader.Read())
        {
            switch (reader.Field)
            {
                case 1:
                    fields.HasKey = true;
                    fields.Key = reader.Bytes;
                    break;
                case 2:
                    fields.HasIfVersion = true;
                    fields.IfVersion = reader.Number;
                    break;
                case 3:
                    fields.ReturnPrevious = reader.Number != 0;
                    break;
                case 4:
                    fields.LeaderOnly = reader.Number != 0;
                    break;
                case 5:
                    fields.ClientId = reader.Number;
                    break;
                case 6:
                    fields.Sequence = reader.Number;
                    break;
                case 7:
                    fields.SessionFlags = reader.Number;
                    break;
            }
        }

        return fields;
    }
}

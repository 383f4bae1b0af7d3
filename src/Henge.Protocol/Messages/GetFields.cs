using Henge.Protocol.V1;

namespace Henge.Protocol.Messages;

/// <summary>A GetRequest. What was read points into its message.</summary>
internal ref struct GetRequestFields
{
    public bool HasKey;
    public ReadOnlySpan<byte> Key;
    public ulong Version;
    public long AtUnixMs;
    public Consistency Consistency;
    public bool LeaderOnly;

    /// <summary>Its bytes on the wire.</summary>
    public readonly int Size => (HasKey ? FieldWriter.SizeOfMessage(Key.Length) : 0)
        + FieldWriter.SizeOf(Version)
        + FieldWriter.SizeOf((ulong)AtUnixMs)
        + FieldWriter.SizeOf((ulong)Consistency)
        + FieldWriter.SizeOf(LeaderOnly);

    /// <summary>Throws <see cref="MessageFormatException"/>.</summary>
    public static GetRequestFields Read(ReadOnlySpan<byte> message)
    {
        GetRequestFields fields = default;
        FieldReader reader = new(message);
        while (reader.Read())
        {
            switch (reader.Tag)
            {
                case (GetRequest.KeyFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.HasKey = true;
                    fields.Key = reader.Bytes;
                    break;
                case (GetRequest.VersionFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Version = reader.Number;
                    break;
                case (GetRequest.AtUnixMsFieldNumber << WireType.Bits) | WireType.Number:
                    fields.AtUnixMs = (long)reader.Number;
                    break;
                case (GetRequest.ConsistencyFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Consistency = (Consistency)reader.Number;
                    break;
                case (GetRequest.LeaderOnlyFieldNumber << WireType.Bits) | WireType.Number:
                    fields.LeaderOnly = reader.Flag;
                    break;
            }
        }

        return fields;
    }

    public readonly void Write(ref FieldWriter writer)
    {
        if (HasKey)
        {
            writer.WritePresent(GetRequest.KeyFieldNumber, Key);
        }

        writer.Write(GetRequest.VersionFieldNumber, Version);
        writer.Write(GetRequest.AtUnixMsFieldNumber, (ulong)AtUnixMs);
        writer.Write(GetRequest.ConsistencyFieldNumber, (ulong)Consistency);
        writer.Write(GetRequest.LeaderOnlyFieldNumber, LeaderOnly);
    }
}

/// <summary>A GetResponse. What was read points into its message.</summary>
internal ref struct GetResponseFields
{
    public ReadOnlySpan<byte> Value;
    public ulong Version;
    public bool Found;
    public long TtlRemainingMs;
    public DataType Type;
    public TextField LeaderHint;
    public ulong LeaderTerm;

    /// <summary>Its bytes on the wire.</summary>
    public readonly int Size => FieldWriter.SizeOfBytes(Value.Length)
        + FieldWriter.SizeOf(Version)
        + FieldWriter.SizeOf(Found)
        + FieldWriter.SizeOf((ulong)TtlRemainingMs)
        + FieldWriter.SizeOf((ulong)Type)
        + LeaderHint.Size
        + FieldWriter.SizeOf(LeaderTerm);

    /// <summary>Throws <see cref="MessageFormatException"/>.</summary>
    public static GetResponseFields Read(ReadOnlySpan<byte> message)
    {
        GetResponseFields fields = default;
        FieldReader reader = new(message);
        while (reader.Read())
        {
            switch (reader.Tag)
            {
                case (GetResponse.ValueFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.Value = reader.Bytes;
                    break;
                case (GetResponse.VersionFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Version = reader.Number;
                    break;
                case (GetResponse.FoundFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Found = reader.Flag;
                    break;
                case (GetResponse.TtlRemainingMsFieldNumber << WireType.Bits) | WireType.Number:
                    fields.TtlRemainingMs = (long)reader.Number;
                    break;
                case (GetResponse.TypeFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Type = (DataType)reader.Number;
                    break;
                case (GetResponse.LeaderHintFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.LeaderHint = new(reader.Bytes);
                    break;
                case (GetResponse.LeaderTermFieldNumber << WireType.Bits) | WireType.Number:
                    fields.LeaderTerm = reader.Number;
                    break;
            }
        }

        return fields;
    }

    public readonly void Write(ref FieldWriter writer)
    {
        writer.Write(GetResponse.ValueFieldNumber, Value);
        writer.Write(GetResponse.VersionFieldNumber, Version);
        writer.Write(GetResponse.FoundFieldNumber, Found);
        writer.Write(GetResponse.TtlRemainingMsFieldNumber, (ulong)TtlRemainingMs);
        writer.Write(GetResponse.TypeFieldNumber, (ulong)Type);
        LeaderHint.Write(ref writer, GetResponse.LeaderHintFieldNumber);
        writer.Write(GetResponse.LeaderTermFieldNumber, LeaderTerm);
    }
}

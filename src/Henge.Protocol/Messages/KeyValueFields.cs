using Henge.Protocol.V1;

namespace Henge.Protocol.Messages;

/// <summary>A KeyValue. What was read points into its message.</summary>
internal ref struct KeyValueFields
{
    public ReadOnlySpan<byte> Key;
    public ReadOnlySpan<byte> Value;
    public ulong Version;
    public long TtlRemainingMs;
    public DataType Type;

    /// <summary>Its bytes on the wire.</summary>
    public readonly int Size => FieldWriter.SizeOfBytes(Key.Length)
        + FieldWriter.SizeOfBytes(Value.Length)
        + FieldWriter.SizeOf(Version)
        + FieldWriter.SizeOf((ulong)TtlRemainingMs)
        + FieldWriter.SizeOf((ulong)Type);

    /// <summary>Throws <see cref="MessageFormatException"/>.</summary>
    public static KeyValueFields Read(ReadOnlySpan<byte> message)
    {
        KeyValueFields fields = default;
        FieldReader reader = new(message);
        while (reader.Read())
        {
            switch (reader.Tag)
            {
                case (KeyValue.KeyFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.Key = reader.Bytes;
                    break;
                case (KeyValue.ValueFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.Value = reader.Bytes;
                    break;
                case (KeyValue.VersionFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Version = reader.Number;
                    break;
                case (KeyValue.TtlRemainingMsFieldNumber << WireType.Bits) | WireType.Number:
                    fields.TtlRemainingMs = (long)reader.Number;
                    break;
                case (KeyValue.TypeFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Type = (DataType)reader.Number;
                    break;
            }
        }

        return fields;
    }

    public readonly void Write(ref FieldWriter writer)
    {
        writer.Write(KeyValue.KeyFieldNumber, Key);
        writer.Write(KeyValue.ValueFieldNumber, Value);
        writer.Write(KeyValue.VersionFieldNumber, Version);
        writer.Write(KeyValue.TtlRemainingMsFieldNumber, (ulong)TtlRemainingMs);
        writer.Write(KeyValue.TypeFieldNumber, (ulong)Type);
    }
}

using Henge.Protocol.V1;

namespace Henge.Protocol.Messages;

/// <summary>A PutRequest. What was read points into its message.</summary>
internal ref struct PutRequestFields
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
    public bool KeepTtl;
    public uint SessionFlags;
    public DataType Type;

    /// <summary>Its bytes on the wire.</summary>
    public readonly int Size => (HasKey ? FieldWriter.SizeOfMessage(Key.Length) : 0)
        + FieldWriter.SizeOfBytes(Value.Length)
        + FieldWriter.SizeOf(TtlSecs)
        + FieldWriter.SizeOf(TtlMs)
        + (HasIfVersion ? FieldWriter.SizeOfPresent(IfVersion) : 0)
        + FieldWriter.SizeOf(ReturnPrevious)
        + FieldWriter.SizeOf(LeaderOnly)
        + FieldWriter.SizeOf(ClientId)
        + FieldWriter.SizeOf(Sequence)
        + FieldWriter.SizeOf(KeepTtl)
        + FieldWriter.SizeOf(SessionFlags)
        + FieldWriter.SizeOf((ulong)Type);

    /// <summary>Throws <see cref="MessageFormatException"/>.</summary>
    public static PutRequestFields Read(ReadOnlySpan<byte> message)
    {
        PutRequestFields fields = default;
        FieldReader reader = new(message);
        while (reader.Read())
        {
            switch (reader.Tag)
            {
                case (PutRequest.KeyFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.HasKey = true;
                    fields.Key = reader.Bytes;
                    break;
                case (PutRequest.ValueFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.Value = reader.Bytes;
                    break;
                case (PutRequest.TtlSecsFieldNumber << WireType.Bits) | WireType.Number:
                    fields.TtlSecs = reader.Number;
                    break;
                case (PutRequest.TtlMsFieldNumber << WireType.Bits) | WireType.Number:
                    fields.TtlMs = reader.Number;
                    break;
                case (PutRequest.IfVersionFieldNumber << WireType.Bits) | WireType.Number:
                    fields.HasIfVersion = true;
                    fields.IfVersion = reader.Number;
                    break;
                case (PutRequest.ReturnPreviousFieldNumber << WireType.Bits) | WireType.Number:
                    fields.ReturnPrevious = reader.Flag;
                    break;
                case (PutRequest.LeaderOnlyFieldNumber << WireType.Bits) | WireType.Number:
                    fields.LeaderOnly = reader.Flag;
                    break;
                case (PutRequest.ClientIdFieldNumber << WireType.Bits) | WireType.Number:
                    fields.ClientId = reader.Number;
                    break;
                case (PutRequest.SequenceFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Sequence = reader.Number;
                    break;
                case (PutRequest.KeepTtlFieldNumber << WireType.Bits) | WireType.Number:
                    fields.KeepTtl = reader.Flag;
                    break;
                case (PutRequest.SessionFlagsFieldNumber << WireType.Bits) | WireType.Number:
                    fields.SessionFlags = (uint)reader.Number;
                    break;
                case (PutRequest.TypeFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Type = (DataType)reader.Number;
                    break;
            }
        }

        return fields;
    }

    public readonly void Write(ref FieldWriter writer)
    {
        if (HasKey)
        {
            writer.WritePresent(PutRequest.KeyFieldNumber, Key);
        }

        writer.Write(PutRequest.ValueFieldNumber, Value);
        writer.Write(PutRequest.TtlSecsFieldNumber, TtlSecs);
        writer.Write(PutRequest.TtlMsFieldNumber, TtlMs);
        if (HasIfVersion)
        {
            writer.WritePresent(PutRequest.IfVersionFieldNumber, IfVersion);
        }

        writer.Write(PutRequest.ReturnPreviousFieldNumber, ReturnPrevious);
        writer.Write(PutRequest.LeaderOnlyFieldNumber, LeaderOnly);
        writer.Write(PutRequest.ClientIdFieldNumber, ClientId);
        writer.Write(PutRequest.SequenceFieldNumber, Sequence);
        writer.Write(PutRequest.KeepTtlFieldNumber, KeepTtl);
        writer.Write(PutRequest.SessionFlagsFieldNumber, SessionFlags);
        writer.Write(PutRequest.TypeFieldNumber, (ulong)Type);
    }
}

/// <summary>A PutResponse. What was read points into its message.</summary>
internal ref struct PutResponseFields
{
    public ulong Version;
    public bool Success;
    public TextField LeaderHint;
    public ulong LeaderTerm;
    public bool HasPrevious;
    public KeyValueFields Previous;

    /// <summary>Its bytes on the wire.</summary>
    public readonly int Size => FieldWriter.SizeOf(Version)
        + FieldWriter.SizeOf(Success)
        + LeaderHint.Size
        + FieldWriter.SizeOf(LeaderTerm)
        + (HasPrevious ? FieldWriter.SizeOfMessage(Previous.Size) : 0);

    /// <summary>Throws <see cref="MessageFormatException"/>.</summary>
    public static PutResponseFields Read(ReadOnlySpan<byte> message)
    {
        PutResponseFields fields = default;
        FieldReader reader = new(message);
        while (reader.Read())
        {
            switch (reader.Tag)
            {
                case (PutResponse.VersionFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Version = reader.Number;
                    break;
                case (PutResponse.SuccessFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Success = reader.Flag;
                    break;
                case (PutResponse.LeaderHintFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.LeaderHint = new(reader.Bytes);
                    break;
                case (PutResponse.LeaderTermFieldNumber << WireType.Bits) | WireType.Number:
                    fields.LeaderTerm = reader.Number;
                    break;
                case (PutResponse.PreviousFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.HasPrevious = true;
                    fields.Previous = KeyValueFields.Read(reader.Bytes);
                    break;
            }
        }

        return fields;
    }

    public readonly void Write(ref FieldWriter writer)
    {
        writer.Write(PutResponse.VersionFieldNumber, Version);
        writer.Write(PutResponse.SuccessFieldNumber, Success);
        LeaderHint.Write(ref writer, PutResponse.LeaderHintFieldNumber);
        if (HasPrevious)
        {
            writer.BeginMessage(PutResponse.PreviousFieldNumber, Previous.Size);
            Previous.Write(ref writer);
        }

        writer.Write(PutResponse.LeaderTermFieldNumber, LeaderTerm);
    }
}

using Henge.Protocol.V1;

namespace Henge.Protocol.Messages;

/// <summary>A DeleteRequest. What was read points into its message.</summary>
internal ref struct DeleteRequestFields
{
    public bool HasKey;
    public ReadOnlySpan<byte> Key;
    public bool HasIfVersion;
    public ulong IfVersion;
    public bool ReturnPrevious;
    public bool LeaderOnly;
    public ulong ClientId;
    public ulong Sequence;
    public uint SessionFlags;

    /// <summary>Its bytes on the wire.</summary>
    public readonly int Size => (HasKey ? FieldWriter.SizeOfMessage(Key.Length) : 0)
        + (HasIfVersion ? FieldWriter.SizeOfPresent(IfVersion) : 0)
        + FieldWriter.SizeOf(ReturnPrevious)
        + FieldWriter.SizeOf(LeaderOnly)
        + FieldWriter.SizeOf(ClientId)
        + FieldWriter.SizeOf(Sequence)
        + FieldWriter.SizeOf(SessionFlags);

    /// <summary>Throws <see cref="MessageFormatException"/>.</summary>
    public static DeleteRequestFields Read(ReadOnlySpan<byte> message)
    {
        DeleteRequestFields fields = default;
        FieldReader reader = new(message);
        while (reader.Read())
        {
            switch (reader.Tag)
            {
                case (DeleteRequest.KeyFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.HasKey = true;
                    fields.Key = reader.Bytes;
                    break;
                case (DeleteRequest.IfVersionFieldNumber << WireType.Bits) | WireType.Number:
                    fields.HasIfVersion = true;
                    fields.IfVersion = reader.Number;
                    break;
                case (DeleteRequest.ReturnPreviousFieldNumber << WireType.Bits) | WireType.Number:
                    fields.ReturnPrevious = reader.Flag;
                    break;
                case (DeleteRequest.LeaderOnlyFieldNumber << WireType.Bits) | WireType.Number:
                    fields.LeaderOnly = reader.Flag;
                    break;
                case (DeleteRequest.ClientIdFieldNumber << WireType.Bits) | WireType.Number:
                    fields.ClientId = reader.Number;
                    break;
                case (DeleteRequest.SequenceFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Sequence = reader.Number;
                    break;
                case (DeleteRequest.SessionFlagsFieldNumber << WireType.Bits) | WireType.Number:
                    fields.SessionFlags = (uint)reader.Number;
                    break;
            }
        }

        return fields;
    }

    public readonly void Write(ref FieldWriter writer)
    {
        if (HasKey)
        {
            writer.WritePresent(DeleteRequest.KeyFieldNumber, Key);
        }

        if (HasIfVersion)
        {
            writer.WritePresent(DeleteRequest.IfVersionFieldNumber, IfVersion);
        }

        writer.Write(DeleteRequest.ReturnPreviousFieldNumber, ReturnPrevious);
        writer.Write(DeleteRequest.LeaderOnlyFieldNumber, LeaderOnly);
        writer.Write(DeleteRequest.ClientIdFieldNumber, ClientId);
        writer.Write(DeleteRequest.SequenceFieldNumber, Sequence);
        writer.Write(DeleteRequest.SessionFlagsFieldNumber, SessionFlags);
    }
}

/// <summary>A DeleteResponse. What was read points into its message.</summary>
internal ref struct DeleteResponseFields
{
    public bool Success;
    public ulong Version;
    public bool HasPrevious;
    public KeyValueFields Previous;
    public bool ConditionFailed;
    public TextField LeaderHint;
    public ulong LeaderTerm;

    /// <summary>Its bytes on the wire.</summary>
    public readonly int Size => FieldWriter.SizeOf(Success)
        + FieldWriter.SizeOf(Version)
        + (HasPrevious ? FieldWriter.SizeOfMessage(Previous.Size) : 0)
        + FieldWriter.SizeOf(ConditionFailed)
        + LeaderHint.Size
        + FieldWriter.SizeOf(LeaderTerm);

    /// <summary>Throws <see cref="MessageFormatException"/>.</summary>
    public static DeleteResponseFields Read(ReadOnlySpan<byte> message)
    {
        DeleteResponseFields fields = default;
        FieldReader reader = new(message);
        while (reader.Read())
        {
            switch (reader.Tag)
            {
                case (DeleteResponse.SuccessFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Success = reader.Flag;
                    break;
                case (DeleteResponse.VersionFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Version = reader.Number;
                    break;
                case (DeleteResponse.PreviousFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.HasPrevious = true;
                    fields.Previous = KeyValueFields.Read(reader.Bytes);
                    break;
                case (DeleteResponse.ConditionFailedFieldNumber << WireType.Bits) | WireType.Number:
                    fields.ConditionFailed = reader.Flag;
                    break;
                case (DeleteResponse.LeaderHintFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.LeaderHint = new(reader.Bytes);
                    break;
                case (DeleteResponse.LeaderTermFieldNumber << WireType.Bits) | WireType.Number:
                    fields.LeaderTerm = reader.Number;
                    break;
            }
        }

        return fields;
    }

    public readonly void Write(ref FieldWriter writer)
    {
        writer.Write(DeleteResponse.SuccessFieldNumber, Success);
        writer.Write(DeleteResponse.VersionFieldNumber, Version);
        if (HasPrevious)
        {
            writer.BeginMessage(DeleteResponse.PreviousFieldNumber, Previous.Size);
            Previous.Write(ref writer);
        }

        writer.Write(DeleteResponse.ConditionFailedFieldNumber, ConditionFailed);
        LeaderHint.Write(ref writer, DeleteResponse.LeaderHintFieldNumber);
        writer.Write(DeleteResponse.LeaderTermFieldNumber, LeaderTerm);
    }
}

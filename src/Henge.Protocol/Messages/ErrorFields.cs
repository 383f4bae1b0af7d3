using Henge.Protocol.V1;

namespace Henge.Protocol.Messages;

/// <summary>An Error. What was read points into its message.</summary>
internal ref struct ErrorFields
{
    public uint Code;
    public TextField Message;
    public TextField LeaderHint;
    public ulong LeaderTerm;

    /// <summary>Its bytes on the wire.</summary>
    public readonly int Size => FieldWriter.SizeOf(Code) + Message.Size + LeaderHint.Size + FieldWriter.SizeOf(LeaderTerm);

    /// <summary>Throws <see cref="MessageFormatException"/>.</summary>
    public static ErrorFields Read(ReadOnlySpan<byte> message)
    {
        ErrorFields fields = default;
        FieldReader reader = new(message);
        while (reader.Read())
        {
            switch (reader.Tag)
            {
                case (Error.CodeFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Code = (uint)reader.Number;
                    break;
                case (Error.MessageFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.Message = new(reader.Bytes);
                    break;
                case (Error.LeaderHintFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.LeaderHint = new(reader.Bytes);
                    break;
                case (Error.LeaderTermFieldNumber << WireType.Bits) | WireType.Number:
                    fields.LeaderTerm = reader.Number;
                    break;
            }
        }

        return fields;
    }

    public readonly void Write(ref FieldWriter writer)
    {
        writer.Write(Error.CodeFieldNumber, Code);
        Message.Write(ref writer, Error.MessageFieldNumber);
        LeaderHint.Write(ref writer, Error.LeaderHintFieldNumber);
        writer.Write(Error.LeaderTermFieldNumber, LeaderTerm);
    }
}

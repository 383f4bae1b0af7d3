using Henge.Core;
using Henge.Protocol.V1;

namespace Henge.Protocol.Messages;

/// <summary>
/// A SessionOperation without what it asks for, which is a message of its own and is read and written by itself. What was read points into
/// its message.
/// </summary>
internal ref struct SessionOperationFields
{
    /// <summary>The tag of an operation in a SessionRequest.</summary>
    public const int Tag = (SessionRequest.OperationsFieldNumber << WireType.Bits) | WireType.Bytes;

    // Of a field that a SessionRequest does not have.
    private const int WithdrawnTag = (15 << WireType.Bits) | WireType.Bytes;

    public ulong Id;
    public uint TimeoutMs;

    /// <summary>The number of the field that says what is asked for; 0 for none that is known.</summary>
    public int Kind;

    /// <summary>That field's message.</summary>
    public ReadOnlySpan<byte> Content;

    /// <summary>Throws <see cref="MessageFormatException"/>. Of several kinds the last one counts.</summary>
    public static SessionOperationFields Read(ReadOnlySpan<byte> message)
    {
        SessionOperationFields fields = default;
        FieldReader reader = new(message);
        while (reader.Read())
        {
            switch (reader.Tag)
            {
                case (SessionOperation.IdFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Id = reader.Number;
                    break;
                case (SessionOperation.TimeoutMsFieldNumber << WireType.Bits) | WireType.Number:
                    fields.TimeoutMs = (uint)reader.Number;
                    break;
                case (SessionOperation.GetFieldNumber << WireType.Bits) | WireType.Bytes:
                case (SessionOperation.PutFieldNumber << WireType.Bits) | WireType.Bytes:
                case (SessionOperation.DeleteFieldNumber << WireType.Bits) | WireType.Bytes:
                case (SessionOperation.TxnFieldNumber << WireType.Bits) | WireType.Bytes:
                case (SessionOperation.ScanFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.Kind = (int)(reader.Tag >> WireType.Bits);
                    fields.Content = reader.Bytes;
                    break;
            }
        }

        return fields;
    }

    /// <summary>Bytes of an operation as one of a SessionRequest, for content of a size.</summary>
    public static int SizeInRequest(ulong id, uint timeoutMs, int contentBytes) =>
        FieldWriter.SizeOfMessage(SizeOf(id, timeoutMs, contentBytes));

    /// <summary>Begins an operation as one of a SessionRequest; its content follows.</summary>
    public static void BeginInRequest(ref FieldWriter writer, ulong id, uint timeoutMs, int kind, int contentBytes)
    {
        writer.BeginMessage(SessionRequest.OperationsFieldNumber, SizeOf(id, timeoutMs, contentBytes));
        writer.Write(SessionOperation.IdFieldNumber, id);
        writer.Write(SessionOperation.TimeoutMsFieldNumber, timeoutMs);
        writer.BeginMessage(kind, contentBytes);
    }

    /// <summary>Makes an operation that was written one that is passed over.</summary>
    public static void Withdraw(Span<byte> operation)
    {
        Invariant.Check(operation[0] == Tag);
        operation[0] = WithdrawnTag;
    }

    private static int SizeOf(ulong id, uint timeoutMs, int contentBytes) =>
        FieldWriter.SizeOf(id) + FieldWriter.SizeOf(timeoutMs) + FieldWriter.SizeOfMessage(contentBytes);
}

/// <summary>
/// A SessionResult without the result, which is a message of its own and is read and written by itself. What was read points into its
/// message.
/// </summary>
internal ref struct SessionResultFields
{
    /// <summary>The tag of a result in a SessionResponse.</summary>
    public const int Tag = (SessionResponse.ResultsFieldNumber << WireType.Bits) | WireType.Bytes;

    public ulong Id;

    /// <summary>The number of the field that the result is in; 0 for none that is known.</summary>
    public int Kind;

    /// <summary>That field's message.</summary>
    public ReadOnlySpan<byte> Content;

    /// <summary>Throws <see cref="MessageFormatException"/>. Of several results the last one counts.</summary>
    public static SessionResultFields Read(ReadOnlySpan<byte> message)
    {
        SessionResultFields fields = default;
        FieldReader reader = new(message);
        while (reader.Read())
        {
            switch (reader.Tag)
            {
                case (SessionResult.IdFieldNumber << WireType.Bits) | WireType.Number:
                    fields.Id = reader.Number;
                    break;
                case (SessionResult.GetFieldNumber << WireType.Bits) | WireType.Bytes:
                case (SessionResult.PutFieldNumber << WireType.Bits) | WireType.Bytes:
                case (SessionResult.DeleteFieldNumber << WireType.Bits) | WireType.Bytes:
                case (SessionResult.TxnFieldNumber << WireType.Bits) | WireType.Bytes:
                case (SessionResult.ScanFieldNumber << WireType.Bits) | WireType.Bytes:
                case (SessionResult.ErrorFieldNumber << WireType.Bits) | WireType.Bytes:
                    fields.Kind = (int)(reader.Tag >> WireType.Bits);
                    fields.Content = reader.Bytes;
                    break;
            }
        }

        return fields;
    }

    /// <summary>Bytes of a result as one of a SessionResponse, for content of a size.</summary>
    public static int SizeInResponse(ulong id, int contentBytes) => FieldWriter.SizeOfMessage(SizeOf(id, contentBytes));

    /// <summary>Begins a result as one of a SessionResponse; its content follows.</summary>
    public static void BeginInResponse(ref FieldWriter writer, ulong id, int kind, int contentBytes)
    {
        writer.BeginMessage(SessionResponse.ResultsFieldNumber, SizeOf(id, contentBytes));
        writer.Write(SessionResult.IdFieldNumber, id);
        writer.BeginMessage(kind, contentBytes);
    }

    private static int SizeOf(ulong id, int contentBytes) => FieldWriter.SizeOf(id) + FieldWriter.SizeOfMessage(contentBytes);
}

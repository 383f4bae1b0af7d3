using System.Text;
using Henge.Client.Transport;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client;

/// <summary>
/// Reads answers straight into the calls that wait for them. Throws <see cref="FormatException"/> for what is no answer. Pure but for the
/// call.
/// </summary>
internal static class SessionDecoder
{
    /// <summary>The number and the body of one result: which field it is in, and its bytes.</summary>
    public static (ulong Id, int Field) ReadHead(ReadOnlySpan<byte> result, out ReadOnlySpan<byte> body)
    {
        ulong id = 0;
        int field = 0;
        body = default;
        WireReader reader = new(result);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    id = reader.Number();
                    break;
                case >= 2 and <= 7:
                    field = reader.Field;
                    body = reader.Bytes();
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return (id, field);
    }

    /// <summary>Reads the result that belongs to the call's kind into it.</summary>
    public static void ReadResult(SessionCall call, int field, ReadOnlySpan<byte> body)
    {
        if (field != (int)call.Kind)
        {
            throw new FormatException($"the answer to a {call.Kind} is in field {field}");
        }

        switch (call.Kind)
        {
            case SessionCallKind.Get:
                call.GetResult = ReadGet(body);
                break;
            case SessionCallKind.Put:
                call.PutResult = ReadPut(body);
                break;
            case SessionCallKind.Delete:
                call.DeleteResult = ReadDelete(body);
                break;
            default:
                try
                {
                    call.TxnResult = WireMapping.FromWire(Wire.TxnResponse.Parser.ParseFrom(body));
                }
                catch (Google.Protobuf.InvalidProtocolBufferException e)
                {
                    throw new FormatException(e.Message, e);
                }

                break;
        }
    }

    /// <summary>What a node's error means for the attempt.</summary>
    public static AttemptFailedException ReadError(ReadOnlySpan<byte> body, string address)
    {
        ErrorCode code = ErrorCode.Internal;
        string message = "";
        string hint = "";
        WireReader reader = new(body);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    ulong number = reader.Number();
                    code = number is > 0 and <= (ulong)ErrorCode.WrongType ? (ErrorCode)number : ErrorCode.Internal;
                    break;
                case 2:
                    message = Encoding.UTF8.GetString(reader.Bytes());
                    break;
                case 3:
                    hint = Encoding.UTF8.GetString(reader.Bytes());
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return new AttemptFailedException(
            code,
            message.Length > 0 ? message : $"{address} answered with the error {code}.",
            CallFailure.OutcomeOf(code, saidByHenge: true),
            hint);
    }

    private static GetResult ReadGet(ReadOnlySpan<byte> body)
    {
        ReadOnlySpan<byte> value = default;
        ulong version = 0;
        bool found = false;
        long ttlMs = 0;
        DataType type = DataType.Bytes;
        WireReader reader = new(body);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    value = reader.Bytes();
                    break;
                case 2:
                    version = reader.Number();
                    break;
                case 3:
                    found = reader.Number() != 0;
                    break;
                case 4:
                    ttlMs = (long)reader.Number();
                    break;
                case 5:
                    type = (DataType)reader.Number();
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return found
            ? new GetResult
            {
                Found = true,
                Value = value.ToArray(),
                Version = new(version),
                TimeToLive = WireMapping.Remaining(ttlMs),
                Type = type,
            }
            : default;
    }

    private static PutResult ReadPut(ReadOnlySpan<byte> body)
    {
        ulong version = 0;
        bool success = false;
        KeyValue? previous = null;
        WireReader reader = new(body);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    version = reader.Number();
                    break;
                case 2:
                    success = reader.Number() != 0;
                    break;
                case 4:
                    previous = ReadPair(reader.Bytes());
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return new PutResult { Succeeded = success, Version = new(version), Previous = previous };
    }

    private static DeleteResult ReadDelete(ReadOnlySpan<byte> body)
    {
        ulong version = 0;
        bool success = false;
        bool conditionFailed = false;
        KeyValue? previous = null;
        WireReader reader = new(body);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    success = reader.Number() != 0;
                    break;
                case 2:
                    version = reader.Number();
                    break;
                case 3:
                    previous = ReadPair(reader.Bytes());
                    break;
                case 4:
                    conditionFailed = reader.Number() != 0;
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return new DeleteResult { Deleted = success, Version = new(version), ConditionFailed = conditionFailed, Previous = previous };
    }

    private static KeyValue ReadPair(ReadOnlySpan<byte> body)
    {
        byte[] key = [];
        byte[] value = [];
        ulong version = 0;
        long ttlMs = 0;
        DataType type = DataType.Bytes;
        WireReader reader = new(body);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    key = reader.Bytes().ToArray();
                    break;
                case 2:
                    value = reader.Bytes().ToArray();
                    break;
                case 3:
                    version = reader.Number();
                    break;
                case 4:
                    ttlMs = (long)reader.Number();
                    break;
                case 5:
                    type = (DataType)reader.Number();
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return new KeyValue { Key = key, Value = value, Version = new(version), TimeToLive = WireMapping.Remaining(ttlMs), Type = type };
    }
}

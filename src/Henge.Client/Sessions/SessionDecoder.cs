using Henge.Client.Errors;
using Henge.Client.Mapping;
using Henge.Client.Routing;
using Henge.Client.Transport;
using Henge.Core;
using Henge.Protocol.Messages;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Sessions;

/// <summary>
/// Reads answers straight into the calls that wait for them. Throws <see cref="MessageFormatException"/> or <see cref="FormatException"/>
/// for what is no answer. Pure but for the call.
/// </summary>
internal static class SessionDecoder
{
    /// <summary>Reads the result that belongs to the call's kind into it.</summary>
    public static void ReadResult(SessionCall call, in SessionResultFields result, Router router)
    {
        if (result.Kind != (int)call.Kind)
        {
            throw new FormatException($"the answer to a {call.Kind} is in field {result.Kind}");
        }

        switch (call.Kind)
        {
            case SessionCallKind.Get:
                call.GetResult = ReadGet(result.Content, call, router);
                break;
            case SessionCallKind.Put:
                call.PutResult = ReadPut(result.Content, call, router);
                break;
            case SessionCallKind.Delete:
                call.DeleteResult = ReadDelete(result.Content, call, router);
                break;
            default:
                Wire.TxnResponse txn = MessageFormatException.Parse(Wire.TxnResponse.Parser, result.Content);
                router.OnForwarded(call.Key.Span, new TextField(txn.LeaderHint), txn.LeaderTerm);
                call.TxnResult = WireMapping.FromWire(txn);
                break;
        }
    }

    /// <summary>What a node's error means for the attempt.</summary>
    public static AttemptFailedException ReadError(ReadOnlySpan<byte> content, string address)
    {
        ErrorFields error = ErrorFields.Read(content);
        ErrorCode code = error.Code is > 0 and <= (uint)ErrorCode.PermissionDenied ? (ErrorCode)error.Code : ErrorCode.Internal;
        string message = error.Message.ToString();
        return new AttemptFailedException(
            code,
            message.Length > 0 ? message : $"{address} answered with the error {code}.",
            CallFailure.OutcomeOf(code, saidByHenge: true),
            error.LeaderHint.ToString(),
            leaderTerm: error.LeaderTerm);
    }

    private static GetResult ReadGet(ReadOnlySpan<byte> content, SessionCall call, Router router)
    {
        GetResponseFields fields = GetResponseFields.Read(content);
        router.OnForwarded(call.Key.Span, fields.LeaderHint, fields.LeaderTerm);
        return fields.Found
            ? new()
            {
                Found = true,
                Value = fields.Value.ToArray(),
                Version = new(fields.Version),
                TimeToLive = WireMapping.Remaining(fields.TtlRemainingMs),
                Type = (DataType)fields.Type,
            }
            : default;
    }

    private static PutResult ReadPut(ReadOnlySpan<byte> content, SessionCall call, Router router)
    {
        PutResponseFields fields = PutResponseFields.Read(content);
        router.OnForwarded(call.Key.Span, fields.LeaderHint, fields.LeaderTerm);
        return new()
        {
            Succeeded = fields.Success,
            Version = new(fields.Version),
            Previous = fields.HasPrevious ? PairOf(fields.Previous) : null,
        };
    }

    private static DeleteResult ReadDelete(ReadOnlySpan<byte> content, SessionCall call, Router router)
    {
        DeleteResponseFields fields = DeleteResponseFields.Read(content);
        router.OnForwarded(call.Key.Span, fields.LeaderHint, fields.LeaderTerm);
        return new()
        {
            Deleted = fields.Success,
            Version = new(fields.Version),
            ConditionFailed = fields.ConditionFailed,
            Previous = fields.HasPrevious ? PairOf(fields.Previous) : null,
        };
    }

    private static KeyValue PairOf(in KeyValueFields fields) => new()
    {
        Key = fields.Key.ToArray(),
        Value = fields.Value.ToArray(),
        Version = new(fields.Version),
        TimeToLive = WireMapping.Remaining(fields.TtlRemainingMs),
        Type = (DataType)fields.Type,
    };
}

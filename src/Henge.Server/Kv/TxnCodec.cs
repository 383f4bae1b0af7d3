using Google.Protobuf;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Protocol.V1;
using Henge.Server.Operations;
using CompareTarget = Henge.Protocol.V1.Compare.TargetOneofCase;

namespace Henge.Server.Kv;

/// <summary>Transactions between their messages and the node's commands. Pure functions.</summary>
internal static class TxnCodec
{
    /// <summary>
    /// Encodes a transaction and returns the key that decides its shard. Throws <see cref="HengeException"/> (InvalidArgument, TooLarge).
    /// </summary>
    public static ReadOnlyMemory<byte> Encode(TxnRequest request, OperationBuffer output, NodeLimits limits)
    {
        KvValidation.CheckTxn(request.Compare.Count + request.Then.Count + request.Otherwise.Count, limits);
        TxnBuilder builder = new();
        foreach (Compare compare in request.Compare)
        {
            Add(builder, compare, limits);
        }

        AddBranch(builder.Then, request.Then, limits);
        AddBranch(builder.Otherwise, request.Otherwise, limits);
        builder.Encode(output, KvValidation.Session(request.ClientId, request.Sequence, request.SessionFlags));
        KvValidation.CheckCommand(output.Length, limits, "transaction");
        return FirstKey(request);
    }

    /// <summary>The answer to a completed transaction. Throws <see cref="HengeException"/> when it failed.</summary>
    public static TxnResponse Decode(Operation operation, TxnRequest request, IHengeNode node)
    {
        CommandResult result = CommandResult.Of(operation, out ReadOnlySpan<byte> payload);
        if (
            result.Status == CommandStatus.Failed
            && !(result.Problem == CommandProblem.ResultForgotten && request.Then.Count + request.Otherwise.Count == 0))
        {
            // A transaction without operations has no results that could be missed: a client makes sure with one that a number is used
            // (docs/decisions/0170).
            throw new HengeException(result.Error, result.ErrorMessage ?? "The transaction failed.");
        }

        TxnResponse response = new()
        {
            Succeeded = result.Succeeded,
            Version = operation.Version.Value,
            LeaderHint = operation.LeaderHint ?? "",
            LeaderTerm = operation.LeaderTerm.Value,
        };
        IList<TxnOperation> branch = result.Succeeded ? request.Then : request.Otherwise;
        TxnResultReader reader = new(payload);
        for (int i = 0; i < branch.Count; i++)
        {
            if (!reader.MoveNext())
            {
                throw new HengeException(ErrorCode.Internal, "The results of a transaction are not well formed.");
            }

            response.Results.Add(Decode(branch[i], reader.Current, reader.Payload, node));
        }

        return response;
    }

    private static void Add(TxnBuilder builder, Compare compare, NodeLimits limits)
    {
        KvValidation.CheckKey(compare.HasKey, compare.Key.Span, limits);
        CompareRelation relation = KvValidation.Relation((int)compare.Relation);
        switch (compare.TargetCase)
        {
            case CompareTarget.Version:
                builder.CompareVersion(compare.Key.Span, relation, KvValidation.IfVersion(compare.Version));
                break;
            case CompareTarget.Value:
                KvValidation.CheckValue(compare.Value.Span, limits);
                builder.CompareValue(compare.Key.Span, relation, compare.Value.Span);
                break;
            case CompareTarget.Exists:
                builder.CompareExistence(compare.Key.Span, KvValidation.Existence(relation, compare.Exists));
                break;
            default:
                throw KvValidation.Invalid("A comparison says not with what: set version, value or exists.");
        }
    }

    private static void AddBranch(TxnBranch branch, IEnumerable<TxnOperation> operations, NodeLimits limits)
    {
        OperationBuffer command = new();
        foreach (TxnOperation operation in operations)
        {
            command.Truncate(0);
            switch (operation.OperationCase)
            {
                case TxnOperation.OperationOneofCase.Get:
                    GetRequest get = operation.Get;
                    KvValidation.CheckKey(get.HasKey, get.Key.Span, limits);
                    if (get.Version != 0 || get.AtUnixMs != 0)
                    {
                        throw KvValidation.Invalid("A get inside a transaction reads now. Read the past with a call of its own.");
                    }

                    CommandEncoder.Get(command, get.Key.Span);
                    break;
                case TxnOperation.OperationOneofCase.Put:
                    PutRequest put = operation.Put;
                    KvValidation.CheckKey(put.HasKey, put.Key.Span, limits);
                    KvValidation.CheckValue(put.Value.Span, limits);
                    ThrowIfSession(put.ClientId);
                    CommandEncoder.Put(command, put.Key.Span, put.Value.Span, new PutOptions
                    {
                        Expiry = KvValidation.Ttl(put.TtlSecs, put.TtlMs, put.KeepTtl),
                        KeepExpiry = put.KeepTtl,
                        Condition = put.HasIfVersion ? PutCondition.IfVersion : PutCondition.None,
                        IfVersion = KvValidation.IfVersion(put.IfVersion),
                        ReturnPrevious = put.ReturnPrevious,
                        Type = KvValidation.Type((ulong)put.Type),
                    });
                    break;
                case TxnOperation.OperationOneofCase.Delete:
                    DeleteRequest delete = operation.Delete;
                    KvValidation.CheckKey(delete.HasKey, delete.Key.Span, limits);
                    ThrowIfSession(delete.ClientId);
                    CommandEncoder.Delete(
                        command,
                        delete.Key.Span,
                        delete.HasIfVersion ? KvValidation.IfVersion(delete.IfVersion) : null,
                        delete.ReturnPrevious);
                    break;
                default:
                    throw KvValidation.Invalid("An operation of the transaction is empty: set get, put or delete.");
            }

            branch.Add(command.Span);
        }

        command.Clear();
    }

    private static void ThrowIfSession(ulong clientId)
    {
        if (clientId != 0)
        {
            throw KvValidation.Invalid("An operation inside a transaction has a client_id. Set it on the transaction.");
        }
    }

    private static ReadOnlyMemory<byte> FirstKey(TxnRequest request)
    {
        if (request.Compare.Count > 0)
        {
            return request.Compare[0].Key.Memory;
        }

        TxnOperation first = request.Then.Count > 0 ? request.Then[0] : request.Otherwise[0];
        return KeyOf(first).Memory;
    }

    private static ByteString KeyOf(TxnOperation operation) => operation.OperationCase switch
    {
        TxnOperation.OperationOneofCase.Get => operation.Get.Key,
        TxnOperation.OperationOneofCase.Put => operation.Put.Key,
        _ => operation.Delete.Key,
    };

    private static TxnResult Decode(TxnOperation operation, in CommandResult result, ReadOnlySpan<byte> payload, IHengeNode node)
    {
        // A part that failed by itself (its condition did not hold) says so in its own result; the others took effect.
        bool hasEntry = EntryView.TryRead(payload, out EntryView entry);
        switch (operation.OperationCase)
        {
            case TxnOperation.OperationOneofCase.Get:
                return new TxnResult
                {
                    Get = hasEntry
                        ? new GetResponse
                        {
                            Found = true,
                            Value = ByteString.CopyFrom(entry.Value),
                            Version = entry.Version.Value,
                            TtlRemainingMs = TimeToLive.Remaining(entry.ExpiresAtMs, default, node),
                            Type = (DataType)entry.Type,
                        }
                        : new GetResponse(),
                };
            case TxnOperation.OperationOneofCase.Put:
                return new TxnResult
                {
                    Put = new PutResponse
                    {
                        Version = result.Version.Value,
                        Success = result.Status == CommandStatus.Ok,
                        Previous = hasEntry && operation.Put.ReturnPrevious ? ToKeyValue(operation.Put.Key, entry, node) : null,
                    },
                };
            default:
                return new TxnResult
                {
                    Delete = new DeleteResponse
                    {
                        Version = result.Version.Value,
                        Success = result.Status == CommandStatus.Ok && result.Found,
                        ConditionFailed = result.Status == CommandStatus.ConditionFailed,
                        Previous = hasEntry && operation.Delete.ReturnPrevious ? ToKeyValue(operation.Delete.Key, entry, node) : null,
                    },
                };
        }
    }

    private static KeyValue ToKeyValue(ByteString key, in EntryView entry, IHengeNode node) => new()
    {
        Key = key,
        Value = ByteString.CopyFrom(entry.Value),
        Version = entry.Version.Value,
        TtlRemainingMs = TimeToLive.Remaining(entry.ExpiresAtMs, default, node),
    };
}

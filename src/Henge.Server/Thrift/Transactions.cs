using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Operations;
using Henge.Thrift.Generated;
using ErrorCode = Henge.Core.ErrorCode;

namespace Henge.Server.Thrift;

/// <summary>Transactions between their structs and the node's commands. Pure functions.</summary>
internal static class Transactions
{
    /// <summary>
    /// Encodes a transaction and returns the key that decides its shard. Throws <see cref="HengeException"/> (InvalidArgument, TooLarge).
    /// </summary>
    public static ReadOnlyMemory<byte> Encode(TxnRequest request, OperationBuffer output, NodeLimits limits)
    {
        List<Compare> compare = request.Compare ?? [];
        List<TxnOperation> success = request.Success ?? [], failure = request.Failure ?? [];
        KvValidation.CheckTxn(compare.Count + success.Count + failure.Count, limits);
        TxnBuilder builder = new();
        foreach (Compare one in compare)
        {
            Add(builder, one, limits);
        }

        AddBranch(builder.Then, success, limits);
        AddBranch(builder.Otherwise, failure, limits);
        builder.Encode(output);
        KvValidation.CheckCommand(output.Length, limits, "transaction");
        return compare.Count > 0 ? compare[0].Key : KeyOf(success.Count > 0 ? success[0] : failure[0]);
    }

    /// <summary>The answer to a transaction that has been done. Throws <see cref="HengeException"/> when it failed.</summary>
    public static TxnResult Decode(AwaitedOperation operation, TxnRequest request, IHengeNode node)
    {
        CommandResult result = KeyResults.ResultOf(operation, out ReadOnlySpan<byte> payload);
        List<TxnOperation> branch = (result.Succeeded ? request.Success : request.Failure) ?? [];
        TxnResult answer = new()
        {
            Succeeded = result.Succeeded,
            Version = (long)operation.Version.Value,
            Results = new List<TxnOperationResult>(branch.Count),
        };
        if (operation.LeaderHint is { } hint)
        {
            (answer.LeaderHint, answer.LeaderTerm) = (hint, (long)operation.LeaderTerm.Value);
        }

        TxnResultReader reader = new(payload);
        foreach (TxnOperation one in branch)
        {
            if (!reader.MoveNext())
            {
                throw new HengeException(ErrorCode.Internal, "The results of a transaction are not well formed.");
            }

            // A part that failed by itself (its condition did not hold) says so in its own result; the others took effect.
            answer.Results.Add(one switch
            {
                { Put: { } put } => new() { Put = KeyResults.Of(reader.Current, reader.Payload, put, node) },
                { Remove: { } remove } => new() { Remove = KeyResults.Of(reader.Current, reader.Payload, remove, node) },
                _ => new() { Get = KeyResults.Of(reader.Payload, node) },
            });
        }

        return answer;
    }

    private static void Add(TxnBuilder builder, Compare compare, NodeLimits limits)
    {
        byte[] key = KeyRequests.Key(compare.Key, limits);
        CompareRelation relation = KvValidation.Relation((int)compare.Relation);
        Compare.Isset set = compare.__isset;
        if ((set.version ? 1 : 0) + (set.@value ? 1 : 0) + (set.exists ? 1 : 0) != 1)
        {
            throw KvValidation.Invalid("A comparison is with one thing: set version, value or exists, and not two of them.");
        }

        if (set.version)
        {
            builder.CompareVersion(key, relation, KvValidation.IfVersion(KeyRequests.Number(compare.Version, "version")));
        }
        else if (set.@value)
        {
            KvValidation.CheckValue(compare.Value, limits);
            builder.CompareValue(key, relation, compare.Value);
        }
        else
        {
            builder.CompareExistence(key, KvValidation.Existence(relation, compare.Exists));
        }
    }

    private static void AddBranch(TxnBranch branch, List<TxnOperation> operations, NodeLimits limits)
    {
        OperationBuffer command = new();
        foreach (TxnOperation operation in operations)
        {
            command.Truncate(0);
            switch (operation)
            {
                case { Get: { } get, Put: null, Remove: null }:
                    if (get.Version != 0 || get.AtUnixMs != 0)
                    {
                        throw KvValidation.Invalid("A get inside a transaction reads now. Read the past with a call of its own.");
                    }

                    CommandEncoder.Get(command, KeyRequests.Key(get.Key, limits));
                    break;
                case { Put: { } put, Get: null, Remove: null }:
                    KeyRequests.Encode(command, put, limits);
                    break;
                case { Remove: { } remove, Get: null, Put: null }:
                    KeyRequests.Encode(command, remove, limits);
                    break;
                default:
                    throw KvValidation.Invalid("An operation of a transaction is one thing: set get, put or remove, and not two of them.");
            }

            branch.Add(command.Span);
        }

        command.Clear();
    }

    private static byte[] KeyOf(TxnOperation operation) =>
        operation.Get?.Key ?? operation.Put?.Key ?? operation.Remove?.Key ?? [];
}

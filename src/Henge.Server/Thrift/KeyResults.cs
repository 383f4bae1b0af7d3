using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Operations;
using Henge.Storage;
using Henge.Thrift.Generated;
using DataType = Henge.Thrift.Generated.DataType;

namespace Henge.Server.Thrift;

/// <summary>What became of operations on keys, as the results of the API. Pure functions.</summary>
internal static class KeyResults
{
    /// <summary>The result of a read that has been made sure of. Throws <see cref="HengeException"/>.</summary>
    public static GetResult Of(AwaitedOperation get, IHengeNode node)
    {
        GetResult result = new() { Found = false, Version = 0 };
        if (get.LeaderHint is { } hint)
        {
            (result.LeaderHint, result.LeaderTerm) = (hint, (long)get.LeaderTerm.Value);
        }

        if (!node.TryRead(get, out PinnedValue value))
        {
            return result;
        }

        using (value)
        {
            result.Found = true;
            result.Value = value.Span.ToArray();
            result.Version = (long)value.Version.Value;
            result.TtlRemainingMs = TimeToLive.Remaining(value.ExpiresAtMs, get.ReadVersion, node);
            result.Type = (DataType)value.Type;
            return result;
        }
    }

    /// <summary>The result of a put that has been done. Throws <see cref="HengeException"/> when it failed.</summary>
    public static PutResult Of(AwaitedOperation write, PutRequest put, IHengeNode node)
    {
        CommandResult result = ResultOf(write, out ReadOnlySpan<byte> payload);
        PutResult answer = Of(result, payload, put, node);
        if (write.LeaderHint is { } hint)
        {
            (answer.LeaderHint, answer.LeaderTerm) = (hint, (long)write.LeaderTerm.Value);
        }

        return answer;
    }

    /// <summary>The result of a deletion that has been done. Throws <see cref="HengeException"/> when it failed.</summary>
    public static DeleteResult Of(AwaitedOperation write, DeleteRequest delete, IHengeNode node)
    {
        CommandResult result = ResultOf(write, out ReadOnlySpan<byte> payload);
        DeleteResult answer = Of(result, payload, delete, node);
        if (write.LeaderHint is { } hint)
        {
            (answer.LeaderHint, answer.LeaderTerm) = (hint, (long)write.LeaderTerm.Value);
        }

        return answer;
    }

    /// <summary>The result of a put, by itself or inside a transaction.</summary>
    public static PutResult Of(in CommandResult result, ReadOnlySpan<byte> payload, PutRequest put, IHengeNode node)
    {
        PutResult answer = new() { Version = (long)result.Version.Value, Success = result.Status == CommandStatus.Ok };
        if (put.ReturnPrevious && EntryView.TryRead(payload, out EntryView previous))
        {
            answer.Previous = Pair(put.Key, previous, node);
        }

        return answer;
    }

    /// <summary>The result of a deletion, by itself or inside a transaction.</summary>
    public static DeleteResult Of(in CommandResult result, ReadOnlySpan<byte> payload, DeleteRequest delete, IHengeNode node)
    {
        DeleteResult answer = new()
        {
            Version = (long)result.Version.Value,
            Success = result.Status == CommandStatus.Ok && result.Found,
            ConditionFailed = result.Status == CommandStatus.ConditionFailed,
        };
        if (delete.ReturnPrevious && EntryView.TryRead(payload, out EntryView previous))
        {
            answer.Previous = Pair(delete.Key, previous, node);
        }

        return answer;
    }

    /// <summary>The result of a read inside a transaction.</summary>
    public static GetResult Of(ReadOnlySpan<byte> payload, IHengeNode node) => EntryView.TryRead(payload, out EntryView entry)
        ? new GetResult
        {
            Found = true,
            Value = entry.Value.ToArray(),
            Version = (long)entry.Version.Value,
            TtlRemainingMs = TimeToLive.Remaining(entry.ExpiresAtMs, default, node),
            Type = (DataType)entry.Type,
        }
        : new GetResult { Found = false, Version = 0 };

    /// <summary>What became of a write that the node has answered. Throws <see cref="HengeException"/> when it failed.</summary>
    public static CommandResult ResultOf(AwaitedOperation write, out ReadOnlySpan<byte> payload)
    {
        CommandResult result = CommandResult.Of(write, out payload);
        return result.Status != CommandStatus.Failed ? result
            : throw new HengeException(result.Error, result.ErrorMessage ?? "The command failed.");
    }

    private static KeyValue Pair(byte[]? key, in EntryView entry, IHengeNode node) => new()
    {
        Key = key,
        Value = entry.Value.ToArray(),
        Version = (long)entry.Version.Value,
        TtlRemainingMs = TimeToLive.Remaining(entry.ExpiresAtMs, default, node),
        Type = (DataType)entry.Type,
    };
}

using System.Buffers;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;
using Henge.Storage;

namespace Henge.Server.Resp.Commands;

/// <summary>A command that reads one key, and whose other arguments say what of it.</summary>
internal sealed class KeyReadCommand(string name, int arity, KeyReadCommand.Replier reply) : DataCommand(name, arity)
{
    /// <summary>An error when the arguments make no sense; null when they do.</summary>
    public delegate string? Checker(RespArguments arguments);

    /// <summary>Writes the reply; the arguments have been checked.</summary>
    public delegate void Replier(RespArguments arguments, IHengeNode node, FoundEntry found, RespWriter writer);

    /// <summary>What the value must be; null: whatever it is.</summary>
    public DataType? Wants { get; init; }

    /// <summary>Looks at the arguments before anything is read; null: they need no look.</summary>
    public Checker? Check { get; init; }

    public override string? Plan(RespArguments arguments, IHengeNode node, RespBatch batch)
    {
        if (CheckAll(arguments, node) is { } error)
        {
            return error;
        }

        batch.AddGet(arguments[Keys.First]);
        return null;
    }

    public override void Reply(RespArguments arguments, IHengeNode node, RespBatch batch, int first, int count, RespWriter writer)
    {
        if (WriteError(batch[first], writer))
        {
            return;
        }

        if (node.TryRead(batch[first], out PinnedValue value))
        {
            using (value)
            {
                Found(arguments, node, new FoundEntry(value.Span, value.ExpiresAtMs, value.Type), writer);
            }
        }
        else
        {
            reply(arguments, node, default, writer);
        }
    }

    public override string? Queue(RespArguments arguments, IHengeNode node, TxnBranch branch, ArrayBufferWriter<byte> scratch)
    {
        if (CheckAll(arguments, node) is { } error)
        {
            return error;
        }

        scratch.ResetWrittenCount();
        CommandEncoder.Get(scratch, arguments.Span(Keys.First));
        branch.Add(scratch.WrittenSpan);
        return null;
    }

    public override void ReplyQueued(RespArguments arguments, IHengeNode node, ref TxnResultReader results, RespWriter writer)
    {
        if (results.MoveNext() && results.Current.Found && EntryView.TryRead(results.Payload, out EntryView entry))
        {
            Found(arguments, node, new FoundEntry(entry.Value, entry.ExpiresAtMs, entry.Type), writer);
        }
        else
        {
            reply(arguments, node, default, writer);
        }
    }

    private string? CheckAll(RespArguments arguments, IHengeNode node)
    {
        int length = arguments[Keys.First].Length;
        return length > node.Limits.KeyBytes
            ? $"ERR the key has {length} bytes; the limit of this node is {node.Limits.KeyBytes}"
            : Check?.Invoke(arguments);
    }

    private void Found(RespArguments arguments, IHengeNode node, FoundEntry found, RespWriter writer)
    {
        if (found.IsOther(Wants))
        {
            writer.Error(RespErrors.WrongType);
        }
        else
        {
            reply(arguments, node, found, writer);
        }
    }
}

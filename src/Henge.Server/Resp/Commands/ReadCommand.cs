using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;
using Henge.Storage;

namespace Henge.Server.Resp.Commands;

/// <summary>A command that reads one key or several.</summary>
internal sealed class ReadCommand(string name, int arity, ReadCommand.Replier reply) : DataCommand(name, arity)
{
    /// <summary>Writes the reply for one key; returns a count for commands that only count.</summary>
    public delegate int Replier(IHengeNode node, FoundEntry found, RespWriter writer);

    /// <summary>True: the reply is an array with an item for each key.</summary>
    public bool AsArray { get; init; }

    /// <summary>What the value must be; anything else is an error, or nothing in an array. Null: whatever it is.</summary>
    public DataType? Wants { get; init; }

    /// <summary>True: the reply is the sum of what the replier returned.</summary>
    public bool AsSum { get; init; }

    public override string? Plan(RespArguments arguments, IHengeNode node, RespBatch batch)
    {
        if (CheckSizes(arguments, 1, node.Limits) is { } error)
        {
            return error;
        }

        for (int i = 1; i < arguments.Count; i++)
        {
            batch.AddGet(arguments[i]);
        }

        return null;
    }

    public override void Reply(RespArguments arguments, IHengeNode node, RespBatch batch, int first, int count, RespWriter writer)
    {
        for (int i = first; i < first + count; i++)
        {
            if (WriteError(batch[i], writer))
            {
                return;
            }
        }

        if (AsArray)
        {
            writer.Array(count);
        }

        long sum = 0, bytes = 0;
        for (int i = first; i < first + count; i++)
        {
            if (node.TryRead(batch[i], out PinnedValue value))
            {
                using (value)
                {
                    // The same large value may be asked for again and again. What was written of the reply is taken back.
                    bytes += AsArray ? value.Span.Length : 0;
                    if (bytes > RespErrors.MostReplyBytes)
                    {
                        throw RespErrors.ReplyGrewTooLarge("keys");
                    }

                    sum += Found(node, new FoundEntry(value.Span, value.ExpiresAtMs, value.Type), writer);
                }
            }
            else
            {
                sum += reply(node, default, writer);
            }
        }

        if (AsSum)
        {
            writer.Integer(sum);
        }
    }

    public override string? Queue(RespArguments arguments, IHengeNode node, TxnBranch branch, ArrayBufferWriter<byte> scratch)
    {
        if (CheckSizes(arguments, 1, node.Limits) is { } error)
        {
            return error;
        }

        for (int i = 1; i < arguments.Count; i++)
        {
            scratch.ResetWrittenCount();
            CommandEncoder.Get(scratch, arguments.Span(i));
            branch.Add(scratch.WrittenSpan);
        }

        return null;
    }

    public override void ReplyQueued(RespArguments arguments, IHengeNode node, ref TxnResultReader results, RespWriter writer)
    {
        if (AsArray)
        {
            writer.Array(arguments.Count - 1);
        }

        long sum = 0;
        for (int i = 1; i < arguments.Count && results.MoveNext(); i++)
        {
            sum += results.Current.Found && EntryView.TryRead(results.Payload, out EntryView entry)
                ? Found(node, new FoundEntry(entry.Value, entry.ExpiresAtMs, entry.Type), writer)
                : reply(node, default, writer);
        }

        if (AsSum)
        {
            writer.Integer(sum);
        }
    }

    private int Found(IHengeNode node, FoundEntry found, RespWriter writer)
    {
        if (!found.IsOther(Wants))
        {
            return reply(node, found, writer);
        }

        if (AsArray)
        {
            return reply(node, default, writer);
        }

        writer.Error(RespErrors.WrongType);
        return 0;
    }
}

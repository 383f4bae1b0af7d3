using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Commands;

/// <summary>
/// MSET: one command for each shard that its keys lie on. Atomic, as in Redis, when they all lie on one (give them a common {tag}); else
/// each shard's part is atomic by itself, and an error means that some parts may have been written.
/// </summary>
internal sealed class MSetCommand : DataCommand
{
    public MSetCommand() : base("mset", -3) => Keys = (1, -1, 2);

    /// <inheritdoc/>
    public override bool Writes => true;

    public override string? Plan(RespArguments arguments, IHengeNode node, RespBatch batch)
    {
        if (StringCommands.Pairs(arguments) is not { } pairs)
        {
            return RespErrors.WrongArity("mset");
        }

        if (CheckSizes(arguments, 2, node.Limits) is { } error)
        {
            return error;
        }

        var shards = new ShardMap(node.GetTopology().Shards.Count);
        foreach (
            IGrouping<ShardId, KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>> group in pairs
                .GroupBy(p => shards.ShardOf(p.Key.Span))
                .OrderBy(g => g.Key))
        {
            KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>[] part = [.. group];
            long size = 128 + part.Sum(p => (long)p.Key.Length + p.Value.Length + (2 * Varint.MaxBytes));
            ArrayBufferWriter<byte> chunk = batch.ChunkFor((int)size);
            int before = chunk.WrittenCount;
            CommandEncoder.MultiPut(chunk, part);
            batch.AddWrite(part[0].Key, chunk.WrittenMemory[before..]);
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

        writer.Ok();
    }

    public override string? Queue(RespArguments arguments, IHengeNode node, TxnBranch branch, ArrayBufferWriter<byte> scratch)
    {
        if (StringCommands.Pairs(arguments) is not { } pairs)
        {
            return RespErrors.WrongArity("mset");
        }

        if (CheckSizes(arguments, 2, node.Limits) is { } error)
        {
            return error;
        }

        scratch.ResetWrittenCount();
        CommandEncoder.MultiPut(scratch, pairs);
        branch.Add(scratch.WrittenSpan);
        return null;
    }

    public override void ReplyQueued(RespArguments arguments, IHengeNode node, ref TxnResultReader results, RespWriter writer)
    {
        if (results.MoveNext())
        {
            writer.Ok();
        }
    }
}

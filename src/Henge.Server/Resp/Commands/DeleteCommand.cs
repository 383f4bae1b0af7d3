using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Commands;

/// <summary>
/// DEL and UNLINK. Few keys are operations of their own, because they may lie on different shards; many keys are grouped into commands of
/// one shard each, so that a hundred thousand of them are not as many operations. The reply is a count.
/// </summary>
internal sealed class DeleteCommand(string name) : DataCommand(name, -2)
{
    private const int SingleKeys = 32;
    private const int GroupKeys = 16 * 1024;

    /// <inheritdoc/>
    public override bool Writes => true;

    public override string? Plan(RespArguments arguments, IHengeNode node, RespBatch batch)
    {
        if (CheckSizes(arguments, 1, node.Limits) is { } error)
        {
            return error;
        }

        if (arguments.Count > 1 + SingleKeys)
        {
            PlanGroups(arguments, node, batch);
            return null;
        }

        for (int i = 1; i < arguments.Count; i++)
        {
            ArrayBufferWriter<byte> chunk = batch.ChunkFor(arguments[i].Length + 64);
            int before = chunk.WrittenCount;
            CommandEncoder.Delete(chunk, arguments.Span(i));
            batch.AddWrite(arguments[i], chunk.WrittenMemory[before..]);
        }

        return null;
    }

    public override void Reply(RespArguments arguments, IHengeNode node, RespBatch batch, int first, int count, RespWriter writer)
    {
        bool grouped = arguments.Count > 1 + SingleKeys;
        long deleted = 0;
        for (int i = first; i < first + count; i++)
        {
            if (WriteError(batch[i], writer))
            {
                return;
            }

            CommandResult result = CommandResult.Of(batch[i], out _);
            if (result.Status == CommandStatus.Failed)
            {
                writer.Error(RespErrors.Of(in result));
                return;
            }

            deleted += grouped ? result.Number : result.Found ? 1 : 0;
        }

        writer.Integer(deleted);
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
            CommandEncoder.Delete(scratch, arguments.Span(i));
            branch.Add(scratch.WrittenSpan);
        }

        return null;
    }

    public override void ReplyQueued(RespArguments arguments, IHengeNode node, ref TxnResultReader results, RespWriter writer)
    {
        long deleted = 0;
        for (int i = 1; i < arguments.Count && results.MoveNext(); i++)
        {
            deleted += results.Current.Found ? 1 : 0;
        }

        writer.Integer(deleted);
    }

    private static void PlanGroups(RespArguments arguments, IHengeNode node, RespBatch batch)
    {
        var shards = new ShardMap(node.GetTopology().Shards.Count);
        var groups = new List<ReadOnlyMemory<byte>>?[shards.Count];
        long[] bytes = new long[shards.Count];
        for (int i = 1; i < arguments.Count; i++)
        {
            int shard = (int)shards.ShardOf(arguments.Span(i)).Value;
            List<ReadOnlyMemory<byte>> group = groups[shard] ??= [];
            if (group.Count == GroupKeys || bytes[shard] > node.Limits.CommandBytes / 4)
            {
                AddGroup(batch, group, bytes[shard]);
                group.Clear();
                bytes[shard] = 0;
            }

            group.Add(arguments[i]);
            bytes[shard] += arguments[i].Length + Varint.MaxBytes;
        }

        for (int shard = 0; shard < groups.Length; shard++)
        {
            if (groups[shard] is { Count: > 0 } group)
            {
                AddGroup(batch, group, bytes[shard]);
            }
        }
    }

    private static void AddGroup(RespBatch batch, List<ReadOnlyMemory<byte>> keys, long bytes)
    {
        ArrayBufferWriter<byte> chunk = batch.ChunkFor((int)bytes + 128);
        int before = chunk.WrittenCount;
        CommandEncoder.MultiDelete(chunk, System.Runtime.InteropServices.CollectionsMarshal.AsSpan(keys));
        batch.AddWrite(keys[0], chunk.WrittenMemory[before..]);
    }
}

using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Commands;

/// <summary>A command that is one encoded command of the state machine, routed by its first key.</summary>
internal sealed class WriteCommand(string name, int arity, WriteCommand.Encoder encode, WriteCommand.Replier reply)
    : DataCommand(name, arity)
{
    /// <summary>Appends the encoded command; an error when the arguments make no sense.</summary>
    public delegate string? Encoder(RespArguments arguments, IHengeNode node, IBufferWriter<byte> writer);

    /// <summary>Writes the reply.</summary>
    public delegate void Replier(RespArguments arguments, in CommandResult result, ReadOnlySpan<byte> payload, RespWriter writer);

    /// <inheritdoc/>
    public override bool Writes => true;

    public override string? Plan(RespArguments arguments, IHengeNode node, RespBatch batch)
    {
        if (CheckSizes(arguments, Keys.Last == 1 ? 0 : Keys.Step, node.Limits) is { } tooLarge)
        {
            return tooLarge;
        }

        int size = 128;
        for (int i = 1; i < arguments.Count; i++)
        {
            size += arguments[i].Length + (3 * Varint.MaxBytes);
        }

        ArrayBufferWriter<byte> chunk = batch.ChunkFor(size);
        int before = chunk.WrittenCount;
        if (encode(arguments, node, chunk) is { } error)
        {
            return error;
        }

        batch.AddWrite(arguments[1], chunk.WrittenMemory[before..]);
        return null;
    }

    public override void Reply(RespArguments arguments, IHengeNode node, RespBatch batch, int first, int count, RespWriter writer)
    {
        Operation operation = batch[first];
        if (!WriteError(operation, writer))
        {
            CommandResult result = CommandResult.Of(operation, out ReadOnlySpan<byte> payload);
            Write(arguments, in result, payload, writer);
        }
    }

    public override string? Queue(RespArguments arguments, IHengeNode node, TxnBranch branch, ArrayBufferWriter<byte> scratch)
    {
        scratch.ResetWrittenCount();
        string? error = CheckSizes(arguments, Keys.Last == 1 ? 0 : Keys.Step, node.Limits) ?? encode(arguments, node, scratch);
        if (error is null)
        {
            branch.Add(scratch.WrittenSpan);
        }

        return error;
    }

    public override void ReplyQueued(RespArguments arguments, IHengeNode node, ref TxnResultReader results, RespWriter writer)
    {
        if (results.MoveNext())
        {
            CommandResult result = results.Current;
            Write(arguments, in result, results.Payload, writer);
        }
    }

    private void Write(RespArguments arguments, in CommandResult result, ReadOnlySpan<byte> payload, RespWriter writer)
    {
        if (result.Status == CommandStatus.Failed)
        {
            writer.Error(RespErrors.Of(in result));
        }
        else
        {
            reply(arguments, in result, payload, writer);
        }
    }
}

using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Connections;

/// <summary>A command that becomes one or more operations of the node, in a batch with its neighbours.</summary>
internal abstract class DataCommand(string name, int arity) : RespCommand(name, arity)
{
    /// <inheritdoc/>
    public override bool TouchesKeys => true;

    /// <summary>
    /// Appends its operations to a batch. An error (in Redis's words) when the arguments make no sense; then nothing was appended.
    /// </summary>
    public abstract string? Plan(RespArguments arguments, IHengeNode node, RespBatch batch);

    /// <summary>Replies from completed operations, of which the first is at <paramref name="first"/>.</summary>
    public abstract void Reply(RespArguments arguments, IHengeNode node, RespBatch batch, int first, int count, RespWriter writer);

    /// <summary>Appends itself to a transaction. An error when the arguments make no sense.</summary>
    public abstract string? Queue(RespArguments arguments, IHengeNode node, TxnBranch branch, ArrayBufferWriter<byte> scratch);

    /// <summary>Replies from the results of a transaction.</summary>
    public abstract void ReplyQueued(RespArguments arguments, IHengeNode node, ref TxnResultReader results, RespWriter writer);

    /// <summary>Writes the error of an operation, if it has one.</summary>
    protected static bool WriteError(Operation operation, RespWriter writer)
    {
        if (operation.Error == ErrorCode.None)
        {
            return false;
        }

        writer.Error(RespErrors.Of(operation));
        return true;
    }

    /// <summary>Checks the first argument and every <paramref name="step"/>th after it as keys, and all others as values.</summary>
    protected static string? CheckSizes(RespArguments arguments, int step, NodeLimits limits)
    {
        for (int i = 1; i < arguments.Count; i++)
        {
            bool key = i == 1 || (step > 0 && (i - 1) % step == 0);
            int length = arguments[i].Length;
            if (key ? length > limits.KeyBytes : length > limits.ValueBytes)
            {
                return "ERR " + (key ? CommandLimits.KeyTooLong(length, limits) : CommandLimits.ValueTooLong(length, limits));
            }
        }

        return null;
    }
}

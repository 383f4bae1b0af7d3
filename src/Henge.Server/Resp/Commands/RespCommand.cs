using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Storage;

namespace Henge.Server.Resp.Commands;

/// <summary>A command of the RESP door. Instances are shared by all connections and hold no state of theirs.</summary>
internal abstract class RespCommand(string name, int arity)
{
    /// <summary>Its name in lower case, as Redis tells it.</summary>
    public string Name => name;

    /// <summary>How many arguments, the name included; negative: at least so many.</summary>
    public int Arity => arity;

    /// <summary>
    /// Position of the first key, of the last (negative: from the end), and the step between them, as COMMAND tells them; 0: no keys.
    /// </summary>
    public (int First, int Last, int Step) Keys { get; init; }

    /// <summary>Its place in <see cref="RespCommandTable.All"/>.</summary>
    public int Index { get; set; }

    /// <summary>True for commands that may change data.</summary>
    public virtual bool Writes => false;

    /// <summary>True for commands that read or change keys, whichever way.</summary>
    public virtual bool TouchesKeys => Keys.First > 0 || OnKeySpace;

    /// <summary>True for commands on keys that do not name them as arguments: SCAN, KEYS, DBSIZE and their kin.</summary>
    public bool OnKeySpace { get; init; }

    /// <summary>True for what a connection with subscriptions may do in RESP2.</summary>
    public bool AllowedToSubscribers { get; init; }

    /// <summary>The subcommands of a command that has only such; null: it has none, or looks at them itself.</summary>
    public string[]? Subcommands { get; init; }

    /// <summary>What is wrong when the number of arguments does not fit.</summary>
    public string ArityError(RespArguments arguments) =>
        Subcommands is { } known ? RespErrors.Subcommand(arguments, Name, known) : RespErrors.WrongArity(Name);

    /// <summary>True when the number of arguments fits.</summary>
    public bool Fits(int count) => arity >= 0 ? count == arity : count >= -arity;
}

/// <summary>Answered at once, from the connection alone.</summary>
internal sealed class LocalCommand(string name, int arity, LocalCommand.Handler handler) : RespCommand(name, arity)
{
    public delegate void Handler(RespConnection connection, RespArguments arguments, RespWriter writer);

    /// <summary>What is done already when the command is planned, before those behind it are.</summary>
    public Action<RespConnection, RespArguments>? Ahead { get; init; }

    public void Run(RespConnection connection, RespArguments arguments, RespWriter writer) => handler(connection, arguments, writer);
}

/// <summary>Runs alone, between batches, because it takes several steps.</summary>
internal sealed class SlowCommand(string name, int arity, SlowCommand.Handler handler) : RespCommand(name, arity)
{
    public delegate ValueTask Handler(RespConnection connection, RespArguments arguments, RespWriter writer);

    /// <summary>Writes the reply of a walk over the keys as of a version, up to which the node has everything.</summary>
    public delegate ValueTask WalkHandler(RespConnection connection, RespArguments arguments, RespWriter writer, Core.Version version);

    /// <inheritdoc/>
    public override bool Writes => Changes;

    /// <summary>True when it changes data.</summary>
    public bool Changes { get; init; }

    /// <summary>For commands that walk over the keys, which may stand inside a transaction; null for others, which may not.</summary>
    public WalkHandler? Walk { get; init; }

    public ValueTask RunAsync(RespConnection connection, RespArguments arguments, RespWriter writer) =>
        handler(connection, arguments, writer);
}

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

        RespOperation operation = batch.Add();
        operation.Kind = OperationKind.Write;
        operation.Key = arguments[1];
        operation.Command = chunk.WrittenMemory[before..];
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

/// <summary>What a read found of one key.</summary>
internal readonly ref struct FoundEntry(ReadOnlySpan<byte> value, long expiresAtMs, DataType type)
{
    public bool Exists { get; } = true;

    public ReadOnlySpan<byte> Value { get; } = value;

    public long ExpiresAtMs { get; } = expiresAtMs;

    public DataType Type { get; } = type;

    /// <summary>True when there is a value and it is of another type.</summary>
    public bool IsOther(DataType? wanted) => Exists && wanted is { } w && w != Type;
}

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
            RespOperation operation = batch.Add();
            operation.Kind = OperationKind.Get;
            operation.Key = arguments[i];
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
            if (node.TryRead(batch[i], out Storage.PinnedValue value))
            {
                using (value)
                {
                    // The same large value may be asked for again and again. What was written of the reply is taken back.
                    bytes += AsArray ? value.Span.Length : 0;
                    if (bytes > RespErrors.MostReplyBytes)
                    {
                        throw new HengeException(ErrorCode.TooLarge, RespErrors.ReplyTooLarge("keys")["ERR ".Length..]);
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

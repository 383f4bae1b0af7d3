using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Connections;

/// <summary>
/// MULTI, EXEC, DISCARD and WATCH of one connection. A transaction becomes one command of one shard: all of it, at one version, or nothing.
/// </summary>
internal sealed class RespTransaction(RespConnection connection)
{
    private readonly List<(RespCommand Command, RespArguments Arguments)> _queued = [];

    /// <summary>
    /// What is wrong with the arguments of queued commands, by their place: as in Redis such a command fails alone, when its turn comes.
    /// </summary>
    private readonly Dictionary<int, string> _argumentErrors = [];
    private readonly List<WatchedKey> _watched = [];

    /// <summary>Replies of queued commands that list or count all keys, by their place.</summary>
    private readonly Dictionary<int, ReadOnlyMemory<byte>> _keyListReplies = [];
    private int _firstWrite;
    private long _queuedBytes;
    private bool _aborted;

    /// <summary>True between MULTI and EXEC or DISCARD.</summary>
    public bool Open { get; private set; }

    /// <summary>True for the commands that are not queued but done.</summary>
    public static bool RunsInside(RespCommand command) => command.Name is "exec" or "discard" or "multi" or "watch" or "quit" or "reset";

    /// <summary>Takes a command into the transaction; the error to reply, if any, which also dooms the transaction.</summary>
    public string? Queue(RespCommand? command, RespArguments arguments, string? error)
    {
        error ??= connection.Database.Refuse(command!) ?? (command!.Name == "select" ? SelectedDatabase.Problem(arguments) : null);
        error ??= command is SlowCommand { Walk: null } ? $"ERR '{command.Name}' is not allowed inside a transaction" : null;
        for (int i = 0; i < arguments.Count; i++)
        {
            _queuedBytes += arguments[i].Length;
        }

        NodeLimits limits = connection.Node.Limits;
        if (_queued.Count >= limits.TxnOperations || _queuedBytes > limits.CommandBytes)
        {
            error ??= $"ERR the transaction is too large: at most {limits.TxnOperations} commands and {limits.CommandBytes} bytes";
        }

        if (error is null)
        {
            _queued.Add((command!, arguments.Copy()));
        }
        else
        {
            _aborted = true;
        }

        return error;
    }

    public void Multi(RespWriter writer)
    {
        if (Open)
        {
            writer.Error(RespErrors.NestedMulti);
            return;
        }

        Open = true;
        writer.Ok();
    }

    public void Discard(RespWriter writer)
    {
        if (!Open)
        {
            writer.Error(RespErrors.DiscardWithoutMulti);
            return;
        }

        Close();
        writer.Ok();
    }

    public void Unwatch() => _watched.Clear();

    /// <summary>Forgets what was queued and what is watched, for RESET.</summary>
    public void Reset() => Close();

    public async ValueTask WatchAsync(RespArguments arguments, RespWriter writer)
    {
        if (Open)
        {
            writer.Error(RespErrors.WatchInsideMulti);
            return;
        }

        if (_watched.Count + arguments.Count - 1 > connection.Node.Limits.TxnOperations)
        {
            writer.Error($"ERR too many watched keys: at most {connection.Node.Limits.TxnOperations}");
            return;
        }

        for (int i = 1; i < arguments.Count; i++)
        {
            var watched = new WatchedKey(arguments[i].ToArray());
            if (await watched.BeginAsync(connection) is { } error)
            {
                writer.Error(error);
                return;
            }

            _watched.Add(watched);
        }

        writer.Ok();
    }

    public async ValueTask ExecAsync(RespWriter writer)
    {
        if (!Open)
        {
            writer.Error(RespErrors.ExecWithoutMulti);
            return;
        }

        try
        {
            if (_aborted)
            {
                writer.Error(RespErrors.ExecAborted);
                return;
            }

            foreach (WatchedKey watched in _watched)
            {
                (bool changed, string? failed) = await watched.HasChangedAsync(connection);
                if (failed is not null)
                {
                    writer.Error(failed);
                    return;
                }

                if (changed)
                {
                    writer.NullArray();
                    return;
                }
            }

            if (Build(out byte[] command, out byte[] key) is { } error)
            {
                writer.Error(error);
                return;
            }

            // What was acknowledged before EXEC has a version below that of the transaction once every shard's history is closed up to
            // here.
            bool walks = _queued.Exists(static q => q.Command is SlowCommand);
            if (walks && (await connection.NowAsync()).Error is { } unavailable)
            {
                writer.Error(unavailable);
                return;
            }

            if (key.Length == 0 && command.Length == 0)
            {
                // Only commands such as PING and DBSIZE: nothing to propose.
                if (walks)
                {
                    await WalkAsync(null);
                }

                Replies(default, writer);
                return;
            }

            Operation write = await connection.RunOneAsync(o => (o.Kind, o.Key, o.Command) = (OperationKind.Write, key, command));
            if (!Succeeded(write, writer, out Core.Version version))
            {
                return;
            }

            if (!walks)
            {
                CommandResult.Of(write, out ReadOnlySpan<byte> payload);
                Replies(payload, writer);
                return;
            }

            // The operation is used again by what follows.
            CommandResult.Of(write, out ReadOnlySpan<byte> results);
            byte[] kept = results.ToArray();
            await WalkAsync(version);
            Replies(kept, writer);
        }
        finally
        {
            Close();
        }
    }

    private string? Build(out byte[] command, out byte[] key)
    {
        (command, key) = ([], []);
        var builder = new TxnBuilder();
        var scratch = new ArrayBufferWriter<byte>();
        foreach (WatchedKey watched in _watched)
        {
            _ = watched.Version.IsZero
                ? builder.CompareUnwritten(watched.Key, watched.UnwrittenSince)
                : builder.CompareVersion(watched.Key, CompareRelation.Equal, watched.Version);
            key = key.Length == 0 ? watched.Key : key;
        }

        _firstWrite = _queued.Count;
        for (int i = 0; i < _queued.Count; i++)
        {
            (RespCommand queued, RespArguments arguments) = _queued[i];
            if (queued is not DataCommand data)
            {
                continue;
            }

            if (data.Queue(arguments, connection.Node, builder.Then, scratch) is { } argumentError)
            {
                _argumentErrors[i] = argumentError;
                continue;
            }

            _firstWrite = data.Writes ? Math.Min(_firstWrite, i) : _firstWrite;

            // The key is not always the first argument: OBJECT ENCODING key.
            key = key.Length == 0 ? arguments[Math.Max(1, data.Keys.First)].ToArray() : key;
        }

        if (builder.Count == 0)
        {
            return null;
        }

        try
        {
            var output = new ArrayBufferWriter<byte>();
            builder.Encode(output);
            command = output.WrittenSpan.ToArray();
            CommandLimits.Check(command, connection.Node.Limits);
            CommandEncoder.ShardOf(command, new ShardMap(connection.Node.GetTopology().Shards.Count));
            return null;
        }
        catch (HengeException e)
        {
            return RespErrors.Of(e.Code, e.Message);
        }
    }

    /// <summary>True when the transaction has happened; else the reply says what came of it.</summary>
    private static bool Succeeded(Operation write, RespWriter writer, out Core.Version version)
    {
        version = default;
        if (write.Error != ErrorCode.None)
        {
            writer.Error(RespErrors.Of(write));
            return false;
        }

        CommandResult result = CommandResult.Of(write, out _);
        version = result.Version;
        if (result.Status == CommandStatus.Failed)
        {
            writer.Error(RespErrors.Of(in result));
            return false;
        }

        if (!result.Succeeded)
        {
            writer.NullArray();
            return false;
        }

        return true;
    }

    /// <summary>
    /// Prepares the replies of queued commands that list or count all keys, as of the version of the transaction: they see all of it and
    /// nothing that came after it. Those that stand before its first write see the moment right before it. Without a version: as of now.
    /// What goes wrong is the error of that command alone: the transaction has happened.
    /// </summary>
    private async ValueTask WalkAsync(Core.Version? version)
    {
        (Core.Version now, string? error) = await connection.NowAsync();
        Core.Version after = version is { } v && v < now ? v : now, before = version is null ? now : new Core.Version(after.Value - 1);
        long bytes = 0;
        for (int i = 0; i < _queued.Count; i++)
        {
            if (_queued[i].Command is SlowCommand { Walk: { } walk })
            {
                ReadOnlyMemory<byte> reply = await WalkOneAsync(
                    walk,
                    _queued[i].Arguments,
                    i < _firstWrite ? before : after,
                    error ?? (bytes > RespErrors.MostReplyBytes ? RespErrors.ReplyTooLarge("keys") : null));
                bytes += reply.Length;
                _keyListReplies[i] = reply;
            }
        }
    }

    private async ValueTask<ReadOnlyMemory<byte>> WalkOneAsync(
        SlowCommand.WalkHandler walk,
        RespArguments arguments,
        Core.Version version,
        string? error)
    {
        var output = new ArrayBufferWriter<byte>();
        var writer = new RespWriter(output) { Protocol = connection.Writer.Protocol };
        if (error is not null)
        {
            writer.Error(error);
            return output.WrittenMemory;
        }

        try
        {
            await walk(connection, arguments, writer, version);
        }
        catch (HengeException e)
        {
            output.ResetWrittenCount();
            writer.Error(connection.Services.Failed(e));
        }

        return output.WrittenMemory;
    }

    private void Replies(ReadOnlySpan<byte> payload, RespWriter writer)
    {
        var results = new TxnResultReader(payload);
        writer.Array(_queued.Count);
        for (int i = 0; i < _queued.Count; i++)
        {
            (RespCommand queued, RespArguments arguments) = _queued[i];
            if (_argumentErrors.TryGetValue(i, out string? argumentError))
            {
                writer.Error(argumentError);
            }
            else if (_keyListReplies.TryGetValue(i, out ReadOnlyMemory<byte> reply))
            {
                writer.Raw(reply.Span);
            }
            else if (queued is DataCommand data)
            {
                data.ReplyQueued(arguments, connection.Node, ref results, writer);
            }
            else
            {
                ((LocalCommand)queued).Run(connection, arguments, writer);
            }
        }
    }

    private void Close()
    {
        Open = false;
        _aborted = false;
        _queuedBytes = 0;
        _queued.Clear();
        _argumentErrors.Clear();
        _keyListReplies.Clear();
        _watched.Clear();
    }
}

using System.Buffers;
using System.Globalization;
using Henge.Core;
using Henge.Storage;

namespace Henge.Node.StateMachine;

/// <summary>
/// Commands on hashes. A hash is one entry: each command writes it anew as a whole, so its size is bounded as that of a value is (decision
/// 0148).
/// </summary>
internal sealed partial class CommandExecutor
{
    private readonly HashEditor _hash = new();
    private readonly ArrayBufferWriter<byte> _pair = new();

    /// <summary>A deliberate bug, for the simulator only: a hash whose last field is deleted stays.</summary>
    internal bool KeepsEmptiedHashes { get; init; }

    /// <summary>A deliberate bug, for the simulator only: increments of fields do not see the open batch.</summary>
    internal bool IncrementsBelowBatch { get; init; }

    private CommandResult HashSet(in CommandView command, Core.Version version)
    {
        using CurrentEntry current = writes.Get(command.Key, version);
        if (IsOther(current, DataType.Hash))
        {
            return Failed(version, CommandProblem.WrongKind);
        }

        int added = _hash.Set(current.Value, command.Body, command.Parts, version.Value);
        return command.IfAllAbsent && added == 0
            ? new CommandResult(CommandStatus.ConditionFailed, current.Version)
            : PutHash(command, current, version, new CommandResult(CommandStatus.Ok, version, Number: added));
    }

    private CommandResult HashDelete(in CommandView command, Core.Version version)
    {
        using CurrentEntry current = writes.Get(command.Key, version);
        if (IsOther(current, DataType.Hash))
        {
            return Failed(version, CommandProblem.WrongKind);
        }

        int deleted = current.Exists ? _hash.Delete(current.Value, command.Body, command.Parts, version.Value) : 0;
        if (deleted > 0 && _hash.Count == 0 && !KeepsEmptiedHashes)
        {
            writes.Delete(command.Key, version, current);
        }
        else if (deleted > 0)
        {
            writes.Put(command.Key, _hash.Result, version, current.ExpiresAtMs, DataType.Hash);
        }

        return new CommandResult(CommandStatus.Ok, version, Number: deleted);
    }

    private CommandResult HashIncrement(in CommandView command, Core.Version version)
    {
        using CurrentEntry current = IncrementsBelowBatch ? writes.GetStored(command.Key, version) : writes.Get(command.Key, version);
        if (IsOther(current, DataType.Hash))
        {
            return Failed(version, CommandProblem.WrongKind);
        }

        long value = 0;
        if (
            current.Exists
            && HashReader.TryGet(current.Value, command.Field, out ReadOnlySpan<byte> before)
            && !NumberText.TryReadInteger(before, out value))
        {
            return Failed(version, CommandProblem.HashValueNotAnInteger);
        }

        long sum = unchecked(value + command.Number);
        if (((value ^ sum) & (command.Number ^ sum)) < 0)
        {
            return Failed(version, CommandProblem.IntegerOverflow);
        }

        Span<byte> text = stackalloc byte[20];
        sum.TryFormat(text, out int length, provider: CultureInfo.InvariantCulture);
        SetOne(command.Field, text[..length], current, version);
        return PutHash(command, current, version, new CommandResult(CommandStatus.Ok, version, Number: sum));
    }

    private CommandResult HashIncrementFloat(in CommandView command, Core.Version version, ArrayBufferWriter<byte> payload)
    {
        using CurrentEntry current = writes.Get(command.Key, version);
        if (IsOther(current, DataType.Hash))
        {
            return Failed(version, CommandProblem.WrongKind);
        }

        bool there = HashReader.TryGet(current.Value, command.Field, out ReadOnlySpan<byte> before);
        Span<byte> text = stackalloc byte[NumberText.MaxBytes];
        int length = NumberText.Add(there ? before : "0"u8, command.Value, text);
        if (length <= 0)
        {
            return Failed(version, length == 0 ? CommandProblem.HashValueNotANumber : CommandProblem.NumberOverflow);
        }

        SetOne(command.Field, text[..length], current, version);
        CommandResult result = PutHash(command, current, version, new CommandResult(CommandStatus.Ok, version));
        if (result.Status == CommandStatus.Ok)
        {
            payload.Write(text[..length]);
        }

        return result;
    }

    private void SetOne(
        scoped ReadOnlySpan<byte> field,
        scoped ReadOnlySpan<byte> value,
        scoped in CurrentEntry current,
        Core.Version version)
    {
        _pair.ResetWrittenCount();
        _pair.WriteBytes(field);
        _pair.WriteBytes(value);
        _hash.Set(current.Value, _pair.WrittenSpan, 1, version.Value);
    }

    private CommandResult PutHash(scoped in CommandView command, scoped in CurrentEntry current, Core.Version version, CommandResult result)
    {
        if (_hash.Result.Length > command.Limit)
        {
            return Failed(version, CommandProblem.HashTooLarge);
        }

        writes.Put(command.Key, _hash.Result, version, current.ExpiresAtMs, DataType.Hash);
        return result;
    }
}

using System.Buffers;
using Henge.Storage;

namespace Henge.Node.StateMachine;

/// <summary>Commands that change a part of a value, or give an entry to another key.</summary>
internal sealed partial class CommandExecutor
{
    private CommandResult SetRange(in CommandView command, Core.Version version)
    {
        using CurrentEntry current = writes.Get(command.Key, version);
        if (IsOther(current, DataType.Bytes))
        {
            return Failed(version, CommandProblem.WrongKind);
        }

        if (command.Value.IsEmpty)
        {
            return new CommandResult(CommandStatus.Ok, version, Number: current.Value.Length);
        }

        // Compared so that no sum can overflow: the offset comes from outside.
        if (command.Number > command.Limit - (long)command.Value.Length)
        {
            return Failed(version, CommandProblem.ValueTooLarge);
        }

        int length = Math.Max(current.Value.Length, (int)command.Number + command.Value.Length);
        byte[] whole = CopyWithLength(current.Value, length);
        command.Value.CopyTo(whole.AsSpan((int)command.Number));
        writes.Put(command.Key, whole.AsSpan(0, length), version, current.ExpiresAtMs);
        ArrayPool<byte>.Shared.Return(whole);
        return new CommandResult(CommandStatus.Ok, version, Number: length);
    }

    private CommandResult SetBit(in CommandView command, Core.Version version)
    {
        using CurrentEntry current = writes.Get(command.Key, version);
        if (IsOther(current, DataType.Bytes))
        {
            return Failed(version, CommandProblem.WrongKind);
        }

        long at = command.Number / 8;
        if (at >= command.Limit)
        {
            return Failed(version, CommandProblem.ValueTooLarge);
        }

        int length = Math.Max(current.Value.Length, (int)at + 1);
        byte[] whole = CopyWithLength(current.Value, length);
        int mask = 0x80 >> (int)(command.Number % 8);
        long before = (whole[at] & mask) != 0 ? 1 : 0;
        whole[at] = (byte)(command.IsBitOn ? whole[at] | mask : whole[at] & ~mask);
        writes.Put(command.Key, whole.AsSpan(0, length), version, current.ExpiresAtMs);
        ArrayPool<byte>.Shared.Return(whole);
        return new CommandResult(CommandStatus.Ok, version, Number: before);
    }

    private CommandResult Move(in CommandView command, Core.Version version)
    {
        using CurrentEntry current = writes.Get(command.Key, version);
        if (!current.Exists)
        {
            return new CommandResult(CommandStatus.Ok, version);
        }

        if (command.IfAllAbsent)
        {
            using CurrentEntry target = writes.Get(command.Field, version);
            if (target.Exists)
            {
                return new CommandResult(CommandStatus.ConditionFailed, target.Version, Found: true);
            }
        }

        if (!command.Key.SequenceEqual(command.Field))
        {
            writes.Put(command.Field, current.Value, version, current.ExpiresAtMs, current.Type);
            if (!command.IsCopy)
            {
                writes.Delete(command.Key, version, current);
            }
        }

        return new CommandResult(CommandStatus.Ok, version, Found: true);
    }

    private static byte[] CopyWithLength(ReadOnlySpan<byte> value, int length)
    {
        byte[] whole = ArrayPool<byte>.Shared.Rent(length);
        value.CopyTo(whole);
        whole.AsSpan(value.Length, length - value.Length).Clear();
        return whole;
    }
}

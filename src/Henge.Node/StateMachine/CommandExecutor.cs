using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using Henge.Core;
using Henge.Node.Context;
using Henge.Storage;

namespace Henge.Node.StateMachine;

/// <summary>
/// Does what commands say: reads through <see cref="PendingWrites"/>, writes into it, and says what it came to. A function of the command,
/// its version and the state: no clock, no randomness, no setting of a node. Not thread-safe.
/// </summary>
internal sealed partial class CommandExecutor(PendingWrites writes)
{
    private readonly ArrayBufferWriter<byte> _part = new();
    private readonly ArrayBufferWriter<byte> _partResult = new();

    /// <summary>The shard's last version before the entry that is being applied.</summary>
    public Core.Version Before { get; set; }

    /// <summary>A deliberate bug, for the simulator only: what is gone again was never written.</summary>
    public bool OverlooksDeletions { get; init; }

    /// <summary>Does one command at its version. The payload is appended to a writer, which must be empty.</summary>
    public CommandResult Execute(in CommandView command, Core.Version version, ArrayBufferWriter<byte> payload)
    {
        switch (command.Kind)
        {
            case CommandKind.Txn:
                return Transact(command, version, payload);
            case CommandKind.MultiPut or CommandKind.MultiDelete:
                writes.BeginStage();
                CommandResult result = ExecutePart(command, version, payload);
                writes.CommitStage(version);
                return result;
            case CommandKind.DeleteExpired:
                return DeleteExpired(command, version);
            default:
                return ExecutePart(command, version, payload);
        }
    }

    private CommandResult ExecutePart(in CommandView command, Core.Version version, ArrayBufferWriter<byte> payload) => command.Kind switch
    {
        CommandKind.Put or CommandKind.PutHash => Put(command, version, payload),
        CommandKind.Delete => Delete(command, version, payload),
        CommandKind.Get => Get(command, version, payload),
        CommandKind.Increment => Increment(command, version),
        CommandKind.IncrementFloat => IncrementFloat(command, version, payload),
        CommandKind.Append => Append(command, version),
        CommandKind.SetExpiry => SetExpiry(command, version, payload),
        CommandKind.MultiPut => MultiPut(command, version),
        CommandKind.MultiDelete => MultiDelete(command, version),
        CommandKind.HashSet => HashSet(command, version),
        CommandKind.HashDelete => HashDelete(command, version),
        CommandKind.HashIncrement => HashIncrement(command, version),
        CommandKind.HashIncrementFloat => HashIncrementFloat(command, version, payload),
        CommandKind.SetRange => SetRange(command, version),
        CommandKind.SetBit => SetBit(command, version),
        CommandKind.Move => Move(command, version),
        _ => Failed(version, CommandProblem.UnknownCommand),
    };

    private static CommandResult Failed(Core.Version version, CommandProblem problem) =>
        new(CommandStatus.Failed, version, Problem: problem);

    private CommandResult Put(in CommandView command, Core.Version version, ArrayBufferWriter<byte> payload)
    {
        long expiresAtMs = command.Expiry.Resolve(version);
        DataType type = command.Kind == CommandKind.PutHash ? DataType.Hash : DataType.Bytes;
        if (command.Condition == PutCondition.None && !command.ReturnPrevious && !command.KeepExpiry)
        {
            writes.Put(command.Key, command.Value, version, expiresAtMs, type);
            return new CommandResult(CommandStatus.Ok, version);
        }

        using CurrentEntry current = writes.Get(command.Key, version);
        if (AsksForBytes(command) && IsOther(current, DataType.Bytes))
        {
            return Failed(version, CommandProblem.WrongKind);
        }

        if (command.ReturnPrevious && current.Exists)
        {
            EntryView.Write(payload, current.Version, current.ExpiresAtMs, current.Value);
        }

        if (!Holds(command, current))
        {
            return new CommandResult(CommandStatus.ConditionFailed, current.Version);
        }

        writes.Put(command.Key, command.Value, version, command.KeepExpiry ? current.ExpiresAtMs : expiresAtMs, type);
        return new CommandResult(CommandStatus.Ok, version);
    }

    private CommandResult Delete(in CommandView command, Core.Version version, ArrayBufferWriter<byte> payload)
    {
        using CurrentEntry current = writes.Get(command.Key, version);
        if (AsksForBytes(command) && IsOther(current, DataType.Bytes))
        {
            return Failed(version, CommandProblem.WrongKind);
        }

        if (command.ReturnPrevious && current.Exists)
        {
            EntryView.Write(payload, current.Version, current.ExpiresAtMs, current.Value);
        }

        if (!Holds(command, current))
        {
            return new CommandResult(CommandStatus.ConditionFailed, current.Version, Found: current.Exists);
        }

        if (current.Exists)
        {
            writes.Delete(command.Key, version, current);
        }

        return new CommandResult(CommandStatus.Ok, version, Found: current.Exists);
    }

    private CommandResult Get(in CommandView command, Core.Version version, ArrayBufferWriter<byte> payload)
    {
        using CurrentEntry current = writes.Get(command.Key, version);
        if (current.Exists)
        {
            EntryView.Write(payload, current.Version, current.ExpiresAtMs, current.Value, current.Type);
        }

        return new CommandResult(CommandStatus.Ok, version, Found: current.Exists);
    }

    private static bool IsOther(scoped in CurrentEntry current, DataType type) => current.Exists && current.Type != type;

    // What looks at the bytes of a value must not take a hash for them.
    private static bool AsksForBytes(scoped in CommandView command) => command.ReturnPrevious || command.Condition >= PutCondition.IfValue;

    private static bool Holds(scoped in CommandView command, scoped in CurrentEntry current) => command.Condition switch
    {
        PutCondition.IfVersion => current.Version == command.IfVersion,
        PutCondition.IfAbsent => !current.Exists,
        PutCondition.IfPresent => current.Exists,
        PutCondition.IfValue => current.Exists && current.Value.SequenceEqual(command.Comparand),
        PutCondition.IfNotValue => !current.Exists || !current.Value.SequenceEqual(command.Comparand),
        PutCondition.IfDigest => current.Exists && HasDigest(current, command.Comparand),
        PutCondition.IfNotDigest => !current.Exists || !HasDigest(current, command.Comparand),
        _ => true,
    };

    private static bool HasDigest(scoped in CurrentEntry current, scoped ReadOnlySpan<byte> comparand) =>
        ValueDigest.Of(current.Value) == BinaryPrimitives.ReadUInt64LittleEndian(comparand);

    private CommandResult Increment(in CommandView command, Core.Version version)
    {
        using CurrentEntry current = writes.Get(command.Key, version);
        if (IsOther(current, DataType.Bytes))
        {
            return Failed(version, CommandProblem.WrongKind);
        }

        long value = 0;
        if (current.Exists && !NumberText.TryReadInteger(current.Value, out value))
        {
            return Failed(version, CommandProblem.NotAnInteger);
        }

        long sum = unchecked(value + command.Number);
        if (((value ^ sum) & (command.Number ^ sum)) < 0)
        {
            return Failed(version, CommandProblem.IntegerOverflow);
        }

        Span<byte> text = stackalloc byte[20];
        sum.TryFormat(text, out int length, provider: CultureInfo.InvariantCulture);
        writes.Put(command.Key, text[..length], version, current.ExpiresAtMs);
        return new CommandResult(CommandStatus.Ok, version, Number: sum);
    }

    private CommandResult IncrementFloat(in CommandView command, Core.Version version, ArrayBufferWriter<byte> payload)
    {
        using CurrentEntry current = writes.Get(command.Key, version);
        if (IsOther(current, DataType.Bytes))
        {
            return Failed(version, CommandProblem.WrongKind);
        }

        Span<byte> text = stackalloc byte[NumberText.MaxBytes];
        int length = NumberText.Add(current.Exists ? current.Value : "0"u8, command.Value, text);
        if (length <= 0)
        {
            return Failed(version, length == 0 ? CommandProblem.NotANumber : CommandProblem.NumberOverflow);
        }

        writes.Put(command.Key, text[..length], version, current.ExpiresAtMs);
        payload.Write(text[..length]);
        return new CommandResult(CommandStatus.Ok, version);
    }

    private CommandResult Append(in CommandView command, Core.Version version)
    {
        using CurrentEntry current = writes.Get(command.Key, version);
        if (IsOther(current, DataType.Bytes))
        {
            return Failed(version, CommandProblem.WrongKind);
        }

        long length = current.Value.Length + (long)command.Value.Length;
        if (length > command.Number)
        {
            return Failed(version, CommandProblem.ValueTooLarge);
        }

        byte[] whole = ArrayPool<byte>.Shared.Rent((int)length);
        current.Value.CopyTo(whole);
        command.Value.CopyTo(whole.AsSpan(current.Value.Length));
        writes.Put(command.Key, whole.AsSpan(0, (int)length), version, current.ExpiresAtMs);
        ArrayPool<byte>.Shared.Return(whole);
        return new CommandResult(CommandStatus.Ok, version, Number: length);
    }

    private CommandResult SetExpiry(in CommandView command, Core.Version version, ArrayBufferWriter<byte> payload)
    {
        using CurrentEntry current = writes.Get(command.Key, version);
        if (!current.Exists)
        {
            return new CommandResult(CommandStatus.Ok, version);
        }

        if (command.ReturnPrevious)
        {
            if (IsOther(current, DataType.Bytes))
            {
                return Failed(version, CommandProblem.WrongKind);
            }

            EntryView.Write(payload, current.Version, current.ExpiresAtMs, current.Value);
        }

        long expiresAtMs = command.Expiry.Resolve(version);
        long before = current.ExpiresAtMs == 0 ? long.MaxValue : current.ExpiresAtMs;
        long after = expiresAtMs == 0 ? long.MaxValue : expiresAtMs;
        bool holds = command.ExpiryCondition switch
        {
            ExpiryCondition.IfNone => current.ExpiresAtMs == 0,
            ExpiryCondition.IfSome => current.ExpiresAtMs != 0,
            ExpiryCondition.IfLater => after > before,
            ExpiryCondition.IfEarlier => after < before,
            _ => true,
        };
        if (!holds)
        {
            return new CommandResult(CommandStatus.ConditionFailed, current.Version, Found: true);
        }

        if (before == after)
        {
            // Nothing to write; setting an expiry to what it is still counts as set, taking away none does not (Redis: PERSIST gives 0).
            return new CommandResult(CommandStatus.Ok, version, Found: true, Number: expiresAtMs == 0 ? 0 : 1);
        }

        writes.Put(command.Key, current.Value, version, expiresAtMs, current.Type);
        return new CommandResult(CommandStatus.Ok, version, Found: true, Number: 1);
    }

    private CommandResult MultiPut(in CommandView command, Core.Version version)
    {
        if (command.IfAllAbsent)
        {
            CommandPieces keys = command.Pieces();
            while (keys.MoveNext())
            {
                using CurrentEntry current = writes.Get(keys.Key, version);
                if (current.Exists)
                {
                    return new CommandResult(CommandStatus.ConditionFailed, current.Version);
                }
            }
        }

        CommandPieces pairs = command.Pieces();
        while (pairs.MoveNext())
        {
            writes.Put(pairs.Key, pairs.Value, version, 0);
        }

        return new CommandResult(CommandStatus.Ok, version, Number: command.Parts);
    }

    private CommandResult MultiDelete(in CommandView command, Core.Version version)
    {
        long count = 0;
        CommandPieces keys = command.Pieces();
        while (keys.MoveNext())
        {
            using CurrentEntry current = writes.Get(keys.Key, version);
            if (current.Exists)
            {
                writes.Delete(keys.Key, version, current);
                count++;
            }
        }

        return new CommandResult(CommandStatus.Ok, version, Number: count);
    }

    private CommandResult Transact(in CommandView command, Core.Version version, ArrayBufferWriter<byte> payload)
    {
        writes.BeginStage();
        var reader = new SpanReader(command.Body);
        reader.TryReadVarint(out ulong compares);
        bool succeeded = true;
        for (; compares > 0; compares--)
        {
            TxnCompare.TryRead(ref reader, out TxnCompare compare);
            succeeded &= Holds(compare, version);
        }

        reader.TryReadVarint(out ulong commands);
        if (!succeeded)
        {
            for (; commands > 0; commands--)
            {
                reader.TryReadBytes(out _);
            }

            reader.TryReadVarint(out commands);
        }

        for (; commands > 0; commands--)
        {
            reader.TryReadBytes(out ReadOnlySpan<byte> encoded);
            CommandView.TryRead(encoded, nested: true, out CommandView part);
            _part.ResetWrittenCount();
            CommandResult result = ExecutePart(part, version, _part);
            _partResult.ResetWrittenCount();
            _partResult.WriteVarint(result.Version.Value);
            result.Write(_partResult, _part.WrittenSpan);
            payload.WriteBytes(_partResult.WrittenSpan);
            if (payload.WrittenCount > CommandLimits.MaxResultBytes)
            {
                writes.AbandonStage();
                payload.ResetWrittenCount();
                return Failed(version, CommandProblem.ResultTooLarge);
            }
        }

        writes.CommitStage(version);
        return new CommandResult(CommandStatus.Ok, version, Found: succeeded);
    }

    // Every replica still has all that was written after a version within the window before the entry; what is older is refused by all.
    private bool IsUnwritten(in TxnCompare compare) =>
        OverlooksDeletions
        || (Before.Milliseconds - new Core.Version(compare.Number).Milliseconds <= HistoryWindow.AlwaysKeptMs
            && !writes.IsWrittenAfter(compare.Key, new Core.Version(compare.Number)));

    private bool Holds(in TxnCompare compare, Core.Version version)
    {
        if (compare.Target == CompareTarget.Unwritten)
        {
            return IsUnwritten(compare);
        }

        using CurrentEntry current = writes.Get(compare.Key, version);
        int order;
        switch (compare.Target)
        {
            case CompareTarget.Version:
                order = current.Version.Value.CompareTo(compare.Number);
                break;
            case CompareTarget.Existence:
                order = (current.Exists ? 1UL : 0).CompareTo(compare.Number);
                break;
            default:
                if (!current.Exists || current.Type != DataType.Bytes)
                {
                    return compare.Relation == CompareRelation.NotEqual;
                }

                order = current.Value.SequenceCompareTo(compare.Value);
                break;
        }

        return compare.Relation switch
        {
            CompareRelation.Equal => order == 0,
            CompareRelation.NotEqual => order != 0,
            CompareRelation.Less => order < 0,
            _ => order > 0,
        };
    }

    // Decision 0072. Only what is the same on all replicas decides: the record of the index, and what is visible at the version.
    private CommandResult DeleteExpired(in CommandView command, Core.Version version)
    {
        int length = SystemKeys.ExpiryPrefixBytes + command.Key.Length;
        byte[] rented = ArrayPool<byte>.Shared.Rent(length);
        Span<byte> indexKey = rented.AsSpan(0, length);
        SystemKeys.WriteExpiryPrefix(indexKey, command.ExpiryMs);
        command.Key.CopyTo(indexKey[SystemKeys.ExpiryPrefixBytes..]);
        CommandResult result = DeleteExpired(command, indexKey, version);
        ArrayPool<byte>.Shared.Return(rented);
        return result;
    }

    private CommandResult DeleteExpired(in CommandView command, ReadOnlySpan<byte> indexKey, Core.Version version)
    {
        Core.Version indexed;
        using (CurrentEntry record = writes.GetSystem(indexKey))
        {
            if (!record.Exists)
            {
                // A second leader proposed the same.
                return new CommandResult(CommandStatus.Ok, version);
            }

            indexed = ExpiryIndex.ReadVersion(record.Value);
        }

        using CurrentEntry current = writes.Get(command.Key, version);
        if (current.Exists)
        {
            if (current.Version != indexed)
            {
                writes.DeleteSystem(indexKey, version);
            }
            else if (current.ExpiresAtMs != command.ExpiryMs)
            {
                writes.DeleteSystem(indexKey, version);
                writes.IndexExpiry(command.Key, current.ExpiresAtMs, indexed, version);
            }

            return new CommandResult(CommandStatus.Ok, version);
        }

        writes.DeleteSystem(indexKey, version);
        if (indexed != command.IfVersion)
        {
            return new CommandResult(CommandStatus.Ok, version);
        }

        bool ended = writes.IsNewest(command.Key, indexed);
        if (ended)
        {
            writes.DeleteExpired(command.Key, version);
        }

        return new CommandResult(CommandStatus.Ok, version, Found: ended);
    }
}

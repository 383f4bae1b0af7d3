using System.Buffers;
using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>Commands that change a part of a value, or give an entry to another key.</summary>
public static partial class CommandEncoder
{
    /// <summary>
    /// Writes bytes into a value from an offset on (a key that does not exist counts as empty; what lies between is filled with zeros; the
    /// expiry is kept). Without bytes nothing is written. Result: <see cref="CommandResult.Number"/> is the new length; ValueTooLarge when
    /// it would be over <paramref name="limitBytes"/>.
    /// </summary>
    public static void SetRange(
        IBufferWriter<byte> writer,
        ReadOnlySpan<byte> key,
        long offset,
        ReadOnlySpan<byte> bytes,
        int limitBytes,
        SessionStamp session = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(limitBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        var output = new Output(writer, CommandKind.SetRange, 0, session, (4 * Varint.MaxBytes) + key.Length + bytes.Length);
        output.Varint((ulong)limitBytes);
        output.Varint((ulong)offset);
        output.Bytes(key);
        output.Bytes(bytes);
        output.Done(writer);
    }

    /// <summary>
    /// Sets one bit of a value, counted from the highest of the first byte (a key that does not exist counts as empty; the value grows by
    /// zeros; the expiry is kept). Result: <see cref="CommandResult.Number"/> is the bit before; ValueTooLarge when the value would be over
    /// <paramref name="limitBytes"/>.
    /// </summary>
    public static void SetBit(
        IBufferWriter<byte> writer,
        ReadOnlySpan<byte> key,
        long bitOffset,
        bool on,
        int limitBytes,
        SessionStamp session = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(limitBytes);
        ArgumentOutOfRangeException.ThrowIfNegative(bitOffset);
        var output = new Output(writer, CommandKind.SetBit, on ? CommandView.BitOnFlag : 0, session, (3 * Varint.MaxBytes) + key.Length);
        output.Varint((ulong)limitBytes);
        output.Varint((ulong)bitOffset);
        output.Bytes(key);
        output.Done(writer);
    }

    /// <summary>
    /// Gives an entry, with its type and expiry, to another key of the same shard, in place of what is there; with
    /// <paramref name="ifAbsent"/> only when nothing is (else ConditionFailed). With <paramref name="copy"/> the first key keeps its own.
    /// Result: <see cref="CommandResult.Found"/>: the first key existed.
    /// </summary>
    public static void Move(
        IBufferWriter<byte> writer,
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> target,
        bool ifAbsent = false,
        bool copy = false,
        SessionStamp session = default)
    {
        int flags = (ifAbsent ? CommandView.AllAbsentFlag : 0) | (copy ? CommandView.CopyFlag : 0);
        var output = new Output(writer, CommandKind.Move, flags, session, (2 * Varint.MaxBytes) + key.Length + target.Length);
        output.Bytes(key);
        output.Bytes(target);
        output.Done(writer);
    }
}

using System.Buffers;
using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>
/// Commands on hashes. A hash that does not exist counts as one without fields; its expiry is kept. WrongKind when the key holds something
/// else.
/// </summary>
public static partial class CommandEncoder
{
    /// <summary>
    /// Sets fields of a hash; with <paramref name="ifAbsent"/> a single one, only when it does not exist. Of a field that comes twice the
    /// later value counts. Result: <see cref="CommandResult.Number"/> is how many fields are new; HashTooLarge when the stored hash would
    /// be over <paramref name="limitBytes"/>, the limit of the node that encodes.
    /// </summary>
    public static void HashSet(
        IBufferWriter<byte> writer,
        ReadOnlySpan<byte> key,
        ReadOnlySpan<KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>> fields,
        int limitBytes,
        bool ifAbsent = false,
        SessionStamp session = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(limitBytes);
        CheckParts(fields.Length);
        if (ifAbsent && fields.Length != 1)
        {
            throw new HengeException(ErrorCode.InvalidArgument, "Only one field can be set on the condition that it does not exist.");
        }

        long size = (3 * Varint.MaxBytes) + key.Length;
        foreach (KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> field in fields)
        {
            size += field.Key.Length + (long)field.Value.Length + (2 * Varint.MaxBytes);
        }

        var output = new Output(writer, CommandKind.HashSet, ifAbsent ? CommandView.AllAbsentFlag : 0, session, checked((int)size));
        output.Varint((ulong)limitBytes);
        output.Bytes(key);
        output.Varint((ulong)fields.Length);
        foreach (KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> field in fields)
        {
            output.Bytes(field.Key.Span);
            output.Bytes(field.Value.Span);
        }

        output.Done(writer);
    }

    /// <summary>
    /// Deletes fields of a hash, and the key with the last of them. Result: <see cref="CommandResult.Number"/> is how many there were.
    /// </summary>
    public static void HashDelete(
        IBufferWriter<byte> writer,
        ReadOnlySpan<byte> key,
        ReadOnlySpan<ReadOnlyMemory<byte>> fields,
        SessionStamp session = default)
    {
        CheckParts(fields.Length);
        long size = (2 * Varint.MaxBytes) + key.Length;
        foreach (ReadOnlyMemory<byte> field in fields)
        {
            size += field.Length + Varint.MaxBytes;
        }

        var output = new Output(writer, CommandKind.HashDelete, 0, session, checked((int)size));
        output.Bytes(key);
        output.Varint((ulong)fields.Length);
        foreach (ReadOnlyMemory<byte> field in fields)
        {
            output.Bytes(field.Span);
        }

        output.Done(writer);
    }

    /// <summary>
    /// Adds to a field that is an integer in decimal text (a field that does not exist counts as 0). Result:
    /// <see cref="CommandResult.Number"/> is the new value; HashValueNotAnInteger, IntegerOverflow or HashTooLarge when it cannot be done.
    /// </summary>
    public static void HashIncrement(
        IBufferWriter<byte> writer,
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> field,
        long difference,
        int limitBytes,
        SessionStamp session = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(limitBytes);
        var output = new Output(writer, CommandKind.HashIncrement, 0, session, (4 * Varint.MaxBytes) + key.Length + field.Length);
        output.Varint((ulong)limitBytes);
        output.Varint((ulong)((difference << 1) ^ (difference >> 63)));
        output.Bytes(key);
        output.Bytes(field);
        output.Done(writer);
    }

    /// <summary>
    /// Adds to a field that is a number in decimal text (a field that does not exist counts as 0). <paramref name="difference"/> is the
    /// text of a number. Result: the new value as payload; HashValueNotANumber, NumberOverflow or HashTooLarge when it cannot be done.
    /// </summary>
    public static void HashIncrementFloat(
        IBufferWriter<byte> writer,
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> field,
        ReadOnlySpan<byte> difference,
        int limitBytes,
        SessionStamp session = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(limitBytes);
        if (!NumberText.TryCheckFloat(difference))
        {
            throw new HengeException(ErrorCode.InvalidArgument, "The difference is not a finite number in decimal text.");
        }

        var output = new Output(
            writer,
            CommandKind.HashIncrementFloat,
            0,
            session,
            (4 * Varint.MaxBytes) + key.Length + field.Length + difference.Length);
        output.Varint((ulong)limitBytes);
        output.Bytes(key);
        output.Bytes(field);
        output.Bytes(difference);
        output.Done(writer);
    }
}

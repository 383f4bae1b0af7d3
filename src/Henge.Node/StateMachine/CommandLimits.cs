using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.StateMachine;

/// <summary>Bounds that are part of the format, the same on every node, and checks of a node's own bounds.</summary>
public static class CommandLimits
{
    /// <summary>The last moment at which something can expire, in milliseconds since the epoch of versions (the year 2094).</summary>
    public const long MaxExpiryMs = (1L << 41) - 1;

    /// <summary>Most commands in one log entry.</summary>
    public const int MaxEntryCommands = 65_536;

    /// <summary>Most compares, and most commands in a branch, of one transaction; most keys in a multi-key command.</summary>
    public const int MaxParts = 65_536;

    /// <summary>
    /// Largest result of one command, in bytes; a transaction that would give more has no effect and fails with TooLarge.
    /// </summary>
    public const int MaxResultBytes = 16 * 1024 * 1024;

    /// <summary>Checks a key against a node's limit.</summary>
    public static void CheckKey(ReadOnlySpan<byte> key, NodeLimits limits)
    {
        if (key.Length > limits.KeyBytes)
        {
            throw new HengeException(ErrorCode.TooLarge, KeyTooLong(key.Length, limits));
        }
    }

    /// <summary>Checks a value against a node's limit.</summary>
    public static void CheckValue(ReadOnlySpan<byte> value, NodeLimits limits)
    {
        if (value.Length > limits.ValueBytes)
        {
            throw new HengeException(ErrorCode.TooLarge, ValueTooLong(value.Length, limits));
        }
    }

    /// <summary>What is wrong with a key over the limit.</summary>
    public static string KeyTooLong(int lengthBytes, NodeLimits limits) =>
        $"The key has {lengthBytes} bytes; the limit is {limits.KeyBytes}. Use a shorter key, or raise the node's limit for keys.";

    /// <summary>What is wrong with a value over the limit.</summary>
    public static string ValueTooLong(int lengthBytes, NodeLimits limits) =>
        $"The value has {lengthBytes} bytes; the limit is {limits.ValueBytes}. Split the value, or raise the node's limit for values.";

    /// <summary>
    /// Checks an encoded command as a whole: that it is well formed and within a node's limits. Throws <see cref="HengeException"/>
    /// (InvalidArgument, TooLarge). For commands that come from outside already encoded.
    /// </summary>
    public static void Check(ReadOnlySpan<byte> command, NodeLimits limits)
    {
        if (command.Length > limits.CommandBytes)
        {
            throw new HengeException(
                ErrorCode.TooLarge,
                $"The command has {command.Length} bytes; the limit is {limits.CommandBytes}. Split it, or raise the node's limit for "
                    + $"commands.");
        }

        if (!CommandView.TryRead(command, out CommandView view))
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                "The command is not well formed: it was encoded by something else, or damaged on the way.");
        }

        if (view.Kind == CommandKind.Txn && view.Parts > limits.TxnOperations)
        {
            throw new HengeException(
                ErrorCode.TooLarge,
                $"The transaction has {view.Parts} operations; the limit is {limits.TxnOperations}. Split it, or raise the node's limit.");
        }

        CommandPieces pieces = view.Pieces();
        while (pieces.MoveNext())
        {
            CheckKey(pieces.Key, limits);
            CheckValue(pieces.Value, limits);
        }
    }
}

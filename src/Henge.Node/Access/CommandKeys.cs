using Henge.Core;
using Henge.Node.StateMachine;

namespace Henge.Node.Access;

/// <summary>
/// All keys of an encoded command, with what is done with each: those of comparisons, those of both branches of a transaction, whichever
/// is taken in the end, and both of a move. What is checked and what is audited are the same keys. Pure functions.
/// </summary>
public static class CommandKeys
{
    /// <summary>Gives a receiver the keys of a command, as long as it wants more. Allocates nothing.</summary>
    /// <returns>False when the command, or one inside it, is not well formed: what comes after that is not told of.</returns>
    public static bool Visit<T>(ReadOnlySpan<byte> encoded, ref T receiver)
        where T : struct, ICommandKeyReceiver, allows ref struct
    {
        if (!CommandView.TryRead(encoded, out CommandView command))
        {
            return false;
        }

        if (command.Kind != CommandKind.Txn)
        {
            VisitOne(CommandPart.Whole, command, ref receiver);
            return true;
        }

        var reader = new SpanReader(command.Body);
        reader.TryReadVarint(out ulong compares);
        for (; compares > 0; compares--)
        {
            // What is compared tells of what is there, as reads do.
            TxnCompare.TryRead(ref reader, out TxnCompare compare);
            if (!receiver.OnKey(CommandPart.Compare, CommandKind.Get, Permissions.Read, compare.Key))
            {
                return true;
            }
        }

        for (CommandPart branch = CommandPart.Then; branch <= CommandPart.Otherwise; branch++)
        {
            reader.TryReadVarint(out ulong commands);
            for (; commands > 0; commands--)
            {
                reader.TryReadBytes(out ReadOnlySpan<byte> part);
                if (!CommandView.TryRead(part, nested: true, out CommandView inner))
                {
                    return false;
                }

                if (!VisitOne(branch, inner, ref receiver))
                {
                    return true;
                }
            }
        }

        return true;
    }

    private static bool VisitOne<T>(CommandPart part, scoped in CommandView command, ref T receiver)
        where T : struct, ICommandKeyReceiver, allows ref struct
    {
        Permissions needed = AccessCheck.Of(command);
        CommandPieces pieces = command.Pieces();
        while (pieces.MoveNext())
        {
            if (!receiver.OnKey(part, command.Kind, needed, pieces.Key))
            {
                return false;
            }
        }

        return true;
    }
}

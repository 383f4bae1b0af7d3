using System.Buffers;
using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.StateMachine;

/// <summary>
/// What a command came to. Beside it goes a payload of bytes: the entry before (<see cref="EntryView"/>), the results of a transaction's
/// commands (<see cref="TxnResultReader"/>), or the text of a number.
/// </summary>
/// <param name="Status">How it ended.</param>
/// <param name="Version">The version of the write; when the condition failed, the version that the key is at (0: does not exist).</param>
/// <param name="Found">Deletes and reads: the key existed. Transactions: see <see cref="Succeeded"/>.</param>
/// <param name="Number">The new integer, the new length, or a count, by command.</param>
/// <param name="Problem">Why it failed.</param>
public readonly record struct CommandResult(
    CommandStatus Status,
    Core.Version Version,
    bool Found = false,
    long Number = 0,
    CommandProblem Problem = CommandProblem.None)
{
    private const CommandProblem LastProblem = CommandProblem.HashTooLarge;
    private const int FoundFlag = 0x04;
    private const int NumberFlag = 0x08;
    private const int ProblemFlag = 0x10;

    private static readonly byte[][] OneByteForms = [.. Enumerable.Range(0, 8).Select(static i => new[] { (byte)i })];

    private static readonly byte[][] ProblemForms =
    [
        .. Enumerable.Range(0, (int)LastProblem + 1).Select(static p => new[] { (byte)((int)CommandStatus.Failed | ProblemFlag), (byte)p }),
    ];

    /// <summary>For transactions: true when all comparisons held and the first branch was done.</summary>
    public bool Succeeded => Found;

    /// <summary>The code of a failure; None otherwise.</summary>
    public ErrorCode Error =>
        Problem switch
        {
            CommandProblem.None => ErrorCode.None,
            CommandProblem.NotAnInteger or CommandProblem.IntegerOverflow or CommandProblem.NotANumber or CommandProblem.NumberOverflow =>
                ErrorCode.WrongType,
            CommandProblem.WrongKind or CommandProblem.HashValueNotAnInteger or CommandProblem.HashValueNotANumber => ErrorCode.WrongType,
            CommandProblem.ValueTooLarge or CommandProblem.ResultTooLarge or CommandProblem.HashTooLarge => ErrorCode.TooLarge,
            CommandProblem.SequenceForgotten => ErrorCode.SessionExpired,
            CommandProblem.TooManySessions => ErrorCode.ResourceExhausted,
            CommandProblem.ResultForgotten => ErrorCode.UnknownOutcome,
            _ => ErrorCode.UnsupportedFormat,
        };

    /// <summary>A message for the user about a failure; null otherwise.</summary>
    public string? ErrorMessage =>
        Problem switch
        {
            CommandProblem.None => null,
            CommandProblem.NotAnInteger => "The value is not an integer of 64 bits in decimal text, so it cannot be incremented.",
            CommandProblem.IntegerOverflow => "The increment would take the value out of the range of 64-bit integers.",
            CommandProblem.NotANumber => "The value is not a finite number in decimal text, so it cannot be incremented.",
            CommandProblem.NumberOverflow => "The increment would make the value infinite.",
            CommandProblem.ValueTooLarge => "The value would be longer than the limit for values.",
            CommandProblem.ResultTooLarge =>
                "The results of the transaction are too large together. Nothing was done; read fewer or smaller values in it.",
            CommandProblem.SequenceForgotten =>
                "The request may or may not have been done before: it is a retry, and its session has ended here or has forgotten it. It "
                    + "was not done now. Check the state, and go on with a new session (a new client id).",
            CommandProblem.TooManySessions =>
                "Too many clients with sessions have written in the last minute. Try again later, or write without a session.",
            CommandProblem.WrongKind =>
                "The key holds a value of another type: a hash where bytes are asked for, or bytes where a hash is. Use the operations of "
                    + "its type (RESP: TYPE tells it), or delete the key first.",
            CommandProblem.HashValueNotAnInteger =>
                "The field of the hash is not an integer of 64 bits in decimal text, so it cannot be incremented.",
            CommandProblem.HashValueNotANumber =>
                "The field of the hash is not a finite number in decimal text, so it cannot be incremented.",
            CommandProblem.HashTooLarge =>
                "The hash would be longer than the limit for values. Spread its fields over several keys, or raise the limit.",
            CommandProblem.ResultForgotten =>
                "The request was done when it came first, but its result was too large to be kept for a retry. Read the keys again.",
            _ => "This command is not known to the cluster's format level. Upgrade all nodes before using it.",
        };

    /// <summary>
    /// True for the most usual outcome: done, and nothing more to say than <see cref="Version"/>. Its encoded form may be left out
    /// (an empty <see cref="Operation.Result"/> decodes to it).
    /// </summary>
    public bool IsPlain => Status == CommandStatus.Ok && !Found && Number == 0;

    /// <summary>
    /// The encoded form, without the version (which goes in <see cref="Operation.Version"/>, and beside it on the wire). Allocates nothing
    /// when there is no number or payload.
    /// </summary>
    public ReadOnlyMemory<byte> ToMemory(ReadOnlySpan<byte> payload)
    {
        int head = Head;
        if (head < OneByteForms.Length && payload.IsEmpty)
        {
            return OneByteForms[head];
        }

        if (head == ProblemForms[0][0] && payload.IsEmpty)
        {
            return ProblemForms[(int)Problem];
        }

        var bytes = new byte[2 + Varint.MaxBytes + payload.Length];
        int length = WriteHead(bytes);
        payload.CopyTo(bytes.AsSpan(length));
        return bytes.AsMemory(0, length + payload.Length);
    }

    /// <summary>Appends the encoded form, without the version, to a writer.</summary>
    public void Write(IBufferWriter<byte> writer, ReadOnlySpan<byte> payload)
    {
        Span<byte> span = writer.GetSpan(2 + Varint.MaxBytes + payload.Length);
        int length = WriteHead(span);
        payload.CopyTo(span[length..]);
        writer.Advance(length + payload.Length);
    }

    /// <summary>
    /// Decodes what <see cref="ToMemory"/> made; false when it is not well formed. The payload points into the encoded bytes.
    /// </summary>
    public static bool TryRead(Core.Version version, ReadOnlySpan<byte> encoded, out CommandResult result, out ReadOnlySpan<byte> payload)
    {
        result = new CommandResult(CommandStatus.Ok, version);
        payload = default;
        if (encoded.IsEmpty)
        {
            return true;
        }

        int head = encoded[0];
        var reader = new SpanReader(encoded[1..]);
        ulong zigzag = 0;
        byte problem = 0;
        if ((head & 3) > (int)CommandStatus.Failed || head > 0x1F
            || ((head & NumberFlag) != 0 && !reader.TryReadVarint(out zigzag))
            || ((head & ProblemFlag) != 0 && !reader.TryReadByte(out problem))
            || problem > (byte)LastProblem)
        {
            return false;
        }

        result = new CommandResult(
            (CommandStatus)(head & 3),
            version,
            (head & FoundFlag) != 0,
            (long)(zigzag >> 1) ^ -(long)(zigzag & 1),
            (CommandProblem)problem);
        payload = reader.Rest;
        return true;
    }

    /// <summary>
    /// Decodes the outcome of a completed write. Throws <see cref="HengeException"/> (Internal) when it is not well formed.
    /// </summary>
    public static CommandResult Of(Operation write, out ReadOnlySpan<byte> payload) =>
        TryRead(write.Version, write.Result.Span, out CommandResult result, out payload)
            ? result
            : throw new HengeException(ErrorCode.Internal, "The result of a command is not well formed.");

    private int Head =>
        (int)Status | (Found ? FoundFlag : 0) | (Number != 0 ? NumberFlag : 0) | (Problem != CommandProblem.None ? ProblemFlag : 0);

    private int WriteHead(Span<byte> span)
    {
        span[0] = (byte)Head;
        int at = 1;
        if (Number != 0)
        {
            at += Varint.Write(span[at..], (ulong)((Number << 1) ^ (Number >> 63)));
        }

        if (Problem != CommandProblem.None)
        {
            span[at++] = (byte)Problem;
        }

        return at;
    }
}

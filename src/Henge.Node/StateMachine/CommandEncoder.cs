using System.Buffers;
using System.Buffers.Binary;
using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>
/// Encodes commands, once, at the door: the same bytes go into the log, to the peers and into the state machine. Each method appends one
/// command to a writer. Limits on keys and values are the caller's to check before (<see cref="CommandLimits"/>). Thread-safe; allocates
/// nothing itself. The layout is in docs/formats.md, "Commands and entries".
/// </summary>
public static partial class CommandEncoder
{
    /// <summary>Writes one key. Result: <see cref="CommandResult.Version"/>, and the value before when it was asked for.</summary>
    public static void Put(
        IBufferWriter<byte> writer,
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> value,
        in PutOptions options = default,
        SessionStamp session = default)
    {
        CheckExpiry(options.Expiry);
        if (options.KeepExpiry && options.Expiry.Mode != ExpiryMode.Never)
        {
            throw new HengeException(ErrorCode.InvalidArgument, "A put either keeps the key's expiry or sets a new one, not both.");
        }

        CheckComparand(options.Condition, options.Comparand.Span);
        bool isHash = options.Type == Storage.DataType.Hash;
        if (isHash && !HashReader.IsWellFormed(value))
        {
            throw new HengeException(ErrorCode.InvalidArgument, "The value is not a well-formed hash (docs/formats.md, \"Hashes\").");
        }

        int flags = (options.KeepExpiry ? CommandView.KeepExpiryFlag : 0) | (options.ReturnPrevious ? CommandView.ReturnPreviousFlag : 0)
            | ((int)options.Expiry.Mode << CommandView.ExpiryShift) | ((int)options.Condition << CommandView.ConditionShift);
        int size = (5 * Varint.MaxBytes) + options.Comparand.Length + key.Length + value.Length;
        var output = new Output(writer, isHash ? CommandKind.PutHash : CommandKind.Put, flags, session, size);
        output.Condition(options.Condition, options.IfVersion, options.Comparand.Span);
        output.Expiry(options.Expiry);
        output.Bytes(key);
        output.Bytes(value);
        output.Done(writer);
    }

    /// <summary>
    /// Deletes one key; with <paramref name="ifVersion"/> only when it is at that version. Result: <see cref="CommandResult.Found"/>, and
    /// the value before when it was asked for.
    /// </summary>
    public static void Delete(
        IBufferWriter<byte> writer,
        ReadOnlySpan<byte> key,
        Core.Version? ifVersion = null,
        bool returnPrevious = false,
        SessionStamp session = default)
    {
        int flags =
            (returnPrevious ? CommandView.ReturnPreviousFlag : 0)
            | ((ifVersion is null ? 0 : (int)PutCondition.IfVersion) << CommandView.ConditionShift);
        var output = new Output(writer, CommandKind.Delete, flags, session, (2 * Varint.MaxBytes) + key.Length);
        if (ifVersion is { } version)
        {
            output.Varint(version.Value);
        }

        output.Bytes(key);
        output.Done(writer);
    }

    /// <summary>
    /// Deletes one key on a condition on its value (<see cref="PutCondition.IfValue"/> and what follows it). Result:
    /// <see cref="CommandResult.Found"/>: it was deleted; ConditionFailed when the condition did not hold.
    /// </summary>
    public static void DeleteIf(
        IBufferWriter<byte> writer,
        ReadOnlySpan<byte> key,
        PutCondition condition,
        ReadOnlySpan<byte> comparand,
        SessionStamp session = default)
    {
        if (condition < PutCondition.IfValue)
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"{condition} is not a condition on a value.");
        }

        CheckComparand(condition, comparand);
        int flags = (int)condition << CommandView.ConditionShift;
        var output = new Output(writer, CommandKind.Delete, flags, session, (2 * Varint.MaxBytes) + comparand.Length + key.Length);
        output.Condition(condition, default, comparand);
        output.Bytes(key);
        output.Done(writer);
    }

    /// <summary>Reads one key. Result: <see cref="CommandResult.Found"/>, and the entry as payload.</summary>
    public static void Get(IBufferWriter<byte> writer, ReadOnlySpan<byte> key, SessionStamp session = default)
    {
        var output = new Output(writer, CommandKind.Get, 0, session, Varint.MaxBytes + key.Length);
        output.Bytes(key);
        output.Done(writer);
    }

    /// <summary>
    /// Adds to an integer in decimal text (a key that does not exist counts as 0; the expiry is kept). Result:
    /// <see cref="CommandResult.Number"/> is the new value; WrongType when the value is not an integer of 64 bits, or the sum would not be.
    /// </summary>
    public static void Increment(IBufferWriter<byte> writer, ReadOnlySpan<byte> key, long difference, SessionStamp session = default)
    {
        var output = new Output(writer, CommandKind.Increment, 0, session, (2 * Varint.MaxBytes) + key.Length);
        output.Varint((ulong)((difference << 1) ^ (difference >> 63)));
        output.Bytes(key);
        output.Done(writer);
    }

    /// <summary>
    /// Adds to a number in decimal text (a key that does not exist counts as 0; the expiry is kept). <paramref name="difference"/> is the
    /// text of a number. Result: the new value as payload; WrongType when one of both is not a finite number.
    /// </summary>
    public static void IncrementFloat(
        IBufferWriter<byte> writer,
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> difference,
        SessionStamp session = default)
    {
        if (!NumberText.TryCheckFloat(difference))
        {
            throw new HengeException(ErrorCode.InvalidArgument, "The difference is not a finite number in decimal text.");
        }

        var output = new Output(writer, CommandKind.IncrementFloat, 0, session, (2 * Varint.MaxBytes) + key.Length + difference.Length);
        output.Bytes(key);
        output.Bytes(difference);
        output.Done(writer);
    }

    /// <summary>
    /// Adds bytes at the end of a value (a key that does not exist counts as empty; the expiry is kept). Result:
    /// <see cref="CommandResult.Number"/> is the new length; TooLarge when it would be over <paramref name="limitBytes"/>, the limit of the
    /// node that encodes.
    /// </summary>
    public static void Append(
        IBufferWriter<byte> writer,
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> tail,
        int limitBytes,
        SessionStamp session = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(limitBytes);
        var output = new Output(writer, CommandKind.Append, 0, session, (3 * Varint.MaxBytes) + key.Length + tail.Length);
        output.Varint((ulong)limitBytes);
        output.Bytes(key);
        output.Bytes(tail);
        output.Done(writer);
    }

    /// <summary>
    /// Sets the expiry of a key that exists, or takes it away (<see cref="Expiry.Never"/>). Result: <see cref="CommandResult.Found"/>;
    /// <see cref="CommandResult.Number"/> is 1 when the expiry was changed; with <paramref name="returnValue"/> the entry before as
    /// payload. ConditionFailed when the condition did not hold.
    /// </summary>
    public static void SetExpiry(
        IBufferWriter<byte> writer,
        ReadOnlySpan<byte> key,
        Expiry expiry,
        ExpiryCondition condition = ExpiryCondition.None,
        bool returnValue = false,
        SessionStamp session = default)
    {
        CheckExpiry(expiry);
        int flags =
            ((int)expiry.Mode << CommandView.ExpiryShift)
            | ((int)condition << CommandView.ConditionShift)
            | (returnValue ? CommandView.ReturnPreviousFlag : 0);
        var output = new Output(writer, CommandKind.SetExpiry, flags, session, (2 * Varint.MaxBytes) + key.Length);
        output.Expiry(expiry);
        output.Bytes(key);
        output.Done(writer);
    }

    /// <summary>
    /// Writes several keys of one shard at one version; with <paramref name="ifAllAbsent"/> only when none of them exists (else
    /// ConditionFailed). A key that comes twice gets the later value. Result: <see cref="CommandResult.Number"/> is how many pairs were
    /// written.
    /// </summary>
    public static void MultiPut(
        IBufferWriter<byte> writer,
        ReadOnlySpan<KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>> pairs,
        bool ifAllAbsent = false,
        SessionStamp session = default)
    {
        CheckParts(pairs.Length);
        long size = Varint.MaxBytes;
        foreach (KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> pair in pairs)
        {
            size += pair.Key.Length + (long)pair.Value.Length + (2 * Varint.MaxBytes);
        }

        var output = new Output(writer, CommandKind.MultiPut, ifAllAbsent ? CommandView.AllAbsentFlag : 0, session, checked((int)size));
        output.Varint((ulong)pairs.Length);
        foreach (KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> pair in pairs)
        {
            output.Bytes(pair.Key.Span);
            output.Bytes(pair.Value.Span);
        }

        output.Done(writer);
    }

    /// <summary>Deletes several keys of one shard at one version. Result: <see cref="CommandResult.Number"/> is how many existed.</summary>
    public static void MultiDelete(IBufferWriter<byte> writer, ReadOnlySpan<ReadOnlyMemory<byte>> keys, SessionStamp session = default)
    {
        CheckParts(keys.Length);
        long size = Varint.MaxBytes;
        foreach (ReadOnlyMemory<byte> key in keys)
        {
            size += key.Length + Varint.MaxBytes;
        }

        var output = new Output(writer, CommandKind.MultiDelete, 0, session, checked((int)size));
        output.Varint((ulong)keys.Length);
        foreach (ReadOnlyMemory<byte> key in keys)
        {
            output.Bytes(key.Span);
        }

        output.Done(writer);
    }

    /// <summary>
    /// The node's own: takes a due entry out of the expiry index and, when <paramref name="seen"/> is still what ends there, deletes the
    /// key.
    /// </summary>
    internal static void DeleteExpired(IBufferWriter<byte> writer, ReadOnlySpan<byte> key, long indexedAtMs, Core.Version seen)
    {
        var output = new Output(writer, CommandKind.DeleteExpired, 0, default, (3 * Varint.MaxBytes) + key.Length);
        output.Varint((ulong)indexedAtMs);
        output.Varint(seen.Value);
        output.Bytes(key);
        output.Done(writer);
    }

    /// <summary>
    /// The shard that all keys of an encoded command lie on. Throws CrossShard when there are several, InvalidArgument when it is not well
    /// formed.
    /// </summary>
    public static ShardId ShardOf(ReadOnlySpan<byte> command, ShardMap shards)
    {
        if (!CommandView.TryRead(command, out CommandView view))
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                "The command is not well formed: it was encoded by something else, or damaged on the way.");
        }

        ShardId shard = shards.ShardOf(view.Key);
        CommandPieces pieces = view.Pieces();
        while (pieces.MoveNext())
        {
            if (shards.ShardOf(pieces.Key) != shard)
            {
                throw new HengeException(
                    ErrorCode.CrossShard,
                    "The keys of one transaction must lie on one shard, and these do not. Give them a common part in braces, as in "
                        + "{user:1}:name and {user:1}:mail: only that part decides the shard.");
            }
        }

        return shard;
    }

    private static void CheckExpiry(Expiry expiry)
    {
        if (expiry.Mode > ExpiryMode.At || (expiry.Mode == ExpiryMode.Never ? expiry.Milliseconds != 0 : expiry.Milliseconds <= 0))
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"A time to live must be more than 0 milliseconds, not {expiry.Milliseconds}.");
        }
    }

    private static void CheckComparand(PutCondition condition, ReadOnlySpan<byte> comparand)
    {
        if (
            condition is PutCondition.IfDigest or PutCondition.IfNotDigest
                ? comparand.Length != ValueDigest.Bytes
                : condition < PutCondition.IfValue && !comparand.IsEmpty)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"A condition of the kind {condition} does not compare {comparand.Length} bytes.");
        }
    }

    private static void CheckParts(int count)
    {
        if (count is 0 or > CommandLimits.MaxParts)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"A command of several keys has 1 to {CommandLimits.MaxParts} of them, not {count}.");
        }
    }

    /// <summary>Writes into one span that is large enough for the whole command.</summary>
    internal ref struct Output
    {
        private SpanWriter _out;

        public Output(IBufferWriter<byte> writer, CommandKind kind, int flags, SessionStamp session, int bodyBytes)
        {
            _out = new SpanWriter(writer.GetSpan(checked(bodyBytes + 18)));
            _out.WriteByte((byte)kind);
            _out.WriteByte((byte)(flags | (session.IsNone ? 0 : CommandView.SessionFlag)));
            if (!session.IsNone)
            {
                _out.WriteUInt64(session.ClientId);
                Invariant.Check(session.Sequence <= SessionStamp.MaxSequence);
                _out.WriteUInt64(session.Sequence | ((ulong)session.Flags << SessionStamp.SequenceBits));
            }
        }

        public void Varint(ulong value) => _out.WriteVarint(value);

        public void Bytes(ReadOnlySpan<byte> bytes) => _out.WriteBytes(bytes);

        public void Raw(ReadOnlySpan<byte> bytes) => _out.WriteRaw(bytes);

        public void Condition(PutCondition condition, Core.Version version, ReadOnlySpan<byte> comparand)
        {
            if (condition == PutCondition.IfVersion)
            {
                Varint(version.Value);
            }
            else if (condition >= PutCondition.IfValue)
            {
                Bytes(comparand);
            }
        }

        public void Expiry(Expiry expiry)
        {
            if (expiry.Mode != ExpiryMode.Never)
            {
                Varint((ulong)expiry.Milliseconds);
            }
        }

        public readonly void Done(IBufferWriter<byte> writer) => writer.Advance(_out.Written);
    }
}

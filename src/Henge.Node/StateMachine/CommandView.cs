using System.Buffers.Binary;
using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>
/// A decoded command; its spans point into the encoded bytes. Decoding checks everything, nested commands too, so that what follows
/// need not. The layout is in docs/formats.md, "Commands and entries".
/// </summary>
internal ref struct CommandView
{
    internal const byte SessionFlag = 0x01;
    internal const byte KeepExpiryFlag = 0x02;
    internal const byte AllAbsentFlag = 0x02;
    internal const byte BitOnFlag = 0x02;
    internal const byte Format3Flag = 0x02;
    internal const byte CopyFlag = 0x04;
    internal const byte Format4Flag = 0x04;
    internal const byte ReturnPreviousFlag = 0x04;
    internal const int ExpiryShift = 3;
    internal const int ConditionShift = 5;

    private byte _flags;

    public CommandKind Kind { get; private set; }

    public SessionStamp Session { get; private set; }

    public readonly bool KeepExpiry => (_flags & KeepExpiryFlag) != 0;

    public readonly bool IfAllAbsent => (_flags & AllAbsentFlag) != 0;

    public readonly bool IsBitOn => (_flags & BitOnFlag) != 0;

    public readonly bool IsCopy => (_flags & CopyFlag) != 0;

    public readonly bool ReturnPrevious => (_flags & ReturnPreviousFlag) != 0;

    public readonly PutCondition Condition => (PutCondition)(_flags >> ConditionShift);

    public readonly ExpiryCondition ExpiryCondition => (ExpiryCondition)(_flags >> ConditionShift);

    public readonly Expiry Expiry => new((ExpiryMode)((_flags >> ExpiryShift) & 3), ExpiryMs);

    /// <summary>The key; for commands of several keys, the first.</summary>
    public ReadOnlySpan<byte> Key { get; private set; }

    /// <summary>The value, the bytes to append, or the text of the number to add.</summary>
    public ReadOnlySpan<byte> Value { get; private set; }

    /// <summary>For conditions on a value: what it is compared with.</summary>
    public ReadOnlySpan<byte> Comparand { get; private set; }

    /// <summary>The field of a hash; for <see cref="CommandKind.Move"/> the key that gets the entry.</summary>
    public ReadOnlySpan<byte> Field { get; private set; }

    /// <summary>Most bytes of the value that is stored.</summary>
    public int Limit { get; private set; }

    /// <summary>For conditions on a version; for <see cref="CommandKind.DeleteExpired"/> the version that was seen.</summary>
    public Core.Version IfVersion { get; private set; }

    /// <summary>Increments: the difference. Append: most bytes of the value after it. SetRange and SetBit: the offset.</summary>
    public long Number { get; private set; }

    /// <summary>Commands with several keys or parts: how many.</summary>
    public int Parts { get; private set; }

    /// <summary>Commands with several keys or parts: where they begin.</summary>
    internal ReadOnlySpan<byte> Body { get; private set; }

    /// <summary>
    /// Milliseconds of the expiry; for <see cref="CommandKind.DeleteExpired"/> the moment under which the index has the key.
    /// </summary>
    public long ExpiryMs { get; private set; }

    /// <summary>A plain put needs no look at what is there.</summary>
    public readonly bool IsPlainPut => Kind == CommandKind.Put && (_flags & ~SessionFlag) == 0;

    /// <summary>
    /// True for commands that builds which know entries of format 2 only cannot do: an entry that holds one says so, and they refuse it as
    /// a whole rather than go another way than the rest (docs/formats.md, "Commands and entries"). The command must be well formed.
    /// </summary>
    public static bool NeedsFormat3(ReadOnlySpan<byte> command) => command.Length >= 2 && (CommandKind)command[0] switch
    {
        CommandKind.Put or CommandKind.Delete => command[1] >> ConditionShift >= (int)PutCondition.IfValue,
        CommandKind.Txn => (command[1] & Format3Flag) != 0,
        >= CommandKind.HashSet => true,
        _ => false,
    };

    /// <summary>The same for builds that know entries of format 3 only.</summary>
    public static bool NeedsFormat4(ReadOnlySpan<byte> command) =>
        command.Length >= 2 && (CommandKind)command[0] == CommandKind.Txn && (command[1] & Format4Flag) != 0;

    /// <summary>Decodes a command; false when it is not well formed.</summary>
    public static bool TryRead(ReadOnlySpan<byte> command, out CommandView view) => TryRead(command, nested: false, out view);

    /// <summary>Every key, with what is written there, of the command and those inside it.</summary>
    public readonly CommandPieces Pieces() => new(this);

    internal static bool TryRead(ReadOnlySpan<byte> command, bool nested, out CommandView view)
    {
        CommandView read = default;
        bool good = read.TryReadAll(command, nested);
        view = read;
        return good;
    }

    private bool TryReadAll(ReadOnlySpan<byte> command, bool nested)
    {
        if (command.Length < 2)
        {
            return false;
        }

        Kind = (CommandKind)command[0];
        _flags = command[1];
        var reader = new SpanReader(command[2..]);
        if ((_flags & SessionFlag) != 0)
        {
            if (
                nested
                || Kind == CommandKind.DeleteExpired
                || !reader.TryReadUInt64(out ulong client)
                || !reader.TryReadUInt64(out ulong sequence)
                || client == 0
                || (sequence & SessionStamp.MaxSequence) == 0)
            {
                return false;
            }

            Session = new SessionStamp(client, sequence & SessionStamp.MaxSequence, (SessionFlags)(sequence >> SessionStamp.SequenceBits));
        }

        return TryReadBody(ref reader, nested) && reader.IsEmpty && FlagsFit();
    }

    private readonly bool FlagsFit()
    {
        int mode = (_flags >> ExpiryShift) & 3;
        int condition = _flags >> ConditionShift;
        return Kind switch
        {
            CommandKind.Put or CommandKind.PutHash => mode <= (int)ExpiryMode.At && !(KeepExpiry && mode != 0),
            CommandKind.Delete => mode == 0 && !KeepExpiry && condition is <= (int)PutCondition.IfVersion or >= (int)PutCondition.IfValue,
            CommandKind.SetExpiry => mode <= (int)ExpiryMode.At && !KeepExpiry && condition <= (int)ExpiryCondition.IfEarlier,
            CommandKind.MultiPut or CommandKind.HashSet or CommandKind.SetBit => (_flags & ~(SessionFlag | AllAbsentFlag)) == 0,
            CommandKind.Txn => (_flags & ~(SessionFlag | Format3Flag | Format4Flag)) == 0,
            CommandKind.Move => (_flags & ~(SessionFlag | AllAbsentFlag | CopyFlag)) == 0,
            _ => (_flags & ~SessionFlag) == 0,
        };
    }

    private bool TryReadBody(scoped ref SpanReader reader, bool nested)
    {
        switch (Kind)
        {
            case CommandKind.Put:
                return TryReadCondition(ref reader) && TryReadExpiry(ref reader) && TryReadKey(ref reader) && TryReadValue(ref reader);
            case CommandKind.PutHash:
                return TryReadCondition(ref reader)
                    && TryReadExpiry(ref reader)
                    && TryReadKey(ref reader)
                    && TryReadValue(ref reader)
                    && HashReader.IsWellFormed(Value);
            case CommandKind.Delete:
                return TryReadCondition(ref reader) && TryReadKey(ref reader);
            case CommandKind.Get:
                return TryReadKey(ref reader);
            case CommandKind.Increment:
                return TryReadDifference(ref reader) && TryReadKey(ref reader);
            case CommandKind.IncrementFloat:
                return TryReadKey(ref reader) && TryReadValue(ref reader);
            case CommandKind.Append:
                bool bounded = reader.TryReadVarint(out ulong limit) && limit <= int.MaxValue;
                Number = (long)limit;
                return bounded && TryReadKey(ref reader) && TryReadValue(ref reader);
            case CommandKind.SetExpiry:
                return TryReadExpiry(ref reader) && TryReadKey(ref reader);
            case CommandKind.MultiPut:
            case CommandKind.MultiDelete:
                return TryReadKeys(ref reader);
            case CommandKind.Txn:
                return !nested && TryReadTxn(ref reader);
            case CommandKind.HashSet:
                return TryReadLimit(ref reader)
                    && TryReadKey(ref reader)
                    && TryReadFields(ref reader, withValues: true)
                    && (Parts == 1 || !IfAllAbsent);
            case CommandKind.HashDelete:
                return TryReadKey(ref reader) && TryReadFields(ref reader, withValues: false);
            case CommandKind.HashIncrement:
                return TryReadLimit(ref reader) && TryReadDifference(ref reader) && TryReadKey(ref reader) && TryReadField(ref reader);
            case CommandKind.HashIncrementFloat:
                return TryReadLimit(ref reader) && TryReadKey(ref reader) && TryReadField(ref reader) && TryReadValue(ref reader);
            case CommandKind.SetRange:
                return TryReadLimit(ref reader) && TryReadOffset(ref reader) && TryReadKey(ref reader) && TryReadValue(ref reader);
            case CommandKind.SetBit:
                return TryReadLimit(ref reader) && TryReadOffset(ref reader) && TryReadKey(ref reader);
            case CommandKind.Move:
                return TryReadKey(ref reader) && TryReadField(ref reader);
            case CommandKind.DeleteExpired:
                bool seen = !nested && TryReadVersion(ref reader, out ulong at) && TryReadVersionInto(ref reader) && Assign(at);
                return seen && TryReadKey(ref reader);
            default:
                return false;
        }
    }

    private bool Assign(ulong expiryMs)
    {
        ExpiryMs = (long)expiryMs;
        return true;
    }

    private bool TryReadCondition(scoped ref SpanReader reader)
    {
        switch (Condition)
        {
            case PutCondition.IfVersion:
                return TryReadVersionInto(ref reader);
            case >= PutCondition.IfValue:
                bool read = reader.TryReadBytes(out ReadOnlySpan<byte> comparand);
                Comparand = comparand;
                return read && (Condition < PutCondition.IfDigest || comparand.Length == ValueDigest.Bytes);
            default:
                return true;
        }
    }

    private bool TryReadDifference(scoped ref SpanReader reader)
    {
        bool read = reader.TryReadVarint(out ulong zigzag);
        Number = (long)(zigzag >> 1) ^ -(long)(zigzag & 1);
        return read;
    }

    private bool TryReadLimit(scoped ref SpanReader reader)
    {
        bool read = reader.TryReadVarint(out ulong limit) && limit <= int.MaxValue;
        Limit = (int)limit;
        return read;
    }

    private bool TryReadOffset(scoped ref SpanReader reader)
    {
        bool read = reader.TryReadVarint(out ulong offset) && offset <= long.MaxValue;
        Number = (long)offset;
        return read;
    }

    private bool TryReadField(scoped ref SpanReader reader)
    {
        bool read = reader.TryReadBytes(out ReadOnlySpan<byte> field);
        Field = field;
        return read;
    }

    private bool TryReadFields(scoped ref SpanReader reader, bool withValues)
    {
        if (!reader.TryReadVarint(out ulong count) || count is 0 or > CommandLimits.MaxParts)
        {
            return false;
        }

        Parts = (int)count;
        Body = reader.Rest;
        for (int i = 0; i < Parts; i++)
        {
            if (!reader.TryReadBytes(out _) || (withValues && !reader.TryReadBytes(out _)))
            {
                return false;
            }
        }

        return true;
    }

    private bool TryReadVersionInto(scoped ref SpanReader reader)
    {
        bool read = TryReadVersion(ref reader, out ulong version);
        IfVersion = new Core.Version(version);
        return read;
    }

    private static bool TryReadVersion(scoped ref SpanReader reader, out ulong version) =>
        reader.TryReadVarint(out version) && version <= Core.Version.MaxValue;

    private bool TryReadExpiry(scoped ref SpanReader reader)
    {
        if (((_flags >> ExpiryShift) & 3) == 0)
        {
            return true;
        }

        bool read = reader.TryReadVarint(out ulong milliseconds) && milliseconds is > 0 and <= long.MaxValue;
        ExpiryMs = (long)milliseconds;
        return read;
    }

    private bool TryReadKey(scoped ref SpanReader reader)
    {
        bool read = reader.TryReadBytes(out ReadOnlySpan<byte> key);
        Key = key;
        return read;
    }

    private bool TryReadValue(scoped ref SpanReader reader)
    {
        bool read = reader.TryReadBytes(out ReadOnlySpan<byte> value);
        Value = value;
        return read;
    }

    private bool TryReadKeys(scoped ref SpanReader reader)
    {
        if (!reader.TryReadVarint(out ulong count) || count is 0 or > CommandLimits.MaxParts)
        {
            return false;
        }

        Parts = (int)count;
        Body = reader.Rest;
        for (int i = 0; i < Parts; i++)
        {
            if (!reader.TryReadBytes(out ReadOnlySpan<byte> key) || (Kind == CommandKind.MultiPut && !reader.TryReadBytes(out _)))
            {
                return false;
            }

            Key = i == 0 ? key : Key;
        }

        return true;
    }

    private bool TryReadTxn(scoped ref SpanReader reader)
    {
        Body = reader.Rest;
        if (!reader.TryReadVarint(out ulong compares) || compares > CommandLimits.MaxParts)
        {
            return false;
        }

        bool first = true;
        for (ulong i = 0; i < compares; i++, first = false)
        {
            if (
                !TxnCompare.TryRead(ref reader, out TxnCompare compare)
                || (compare.Target == CompareTarget.Unwritten && (_flags & Format4Flag) == 0))
            {
                return false;
            }

            Key = first ? compare.Key : Key;
        }

        Parts = (int)compares;
        for (int branch = 0; branch < 2; branch++)
        {
            if (!reader.TryReadVarint(out ulong commands) || commands > CommandLimits.MaxParts)
            {
                return false;
            }

            for (ulong i = 0; i < commands; i++, first = false)
            {
                if (!reader.TryReadBytes(out ReadOnlySpan<byte> command) || !TryRead(command, nested: true, out CommandView part)
                    || (NeedsFormat3(command) && (_flags & Format3Flag) == 0))
                {
                    return false;
                }

                Key = first ? part.Key : Key;
                Parts++;
            }
        }

        return true;
    }
}

/// <summary>One comparison of a transaction.</summary>
internal ref struct TxnCompare
{
    public CompareTarget Target { get; private set; }

    public CompareRelation Relation { get; private set; }

    public ReadOnlySpan<byte> Key { get; private set; }

    /// <summary>The version to compare with, or 0 and 1 for existence.</summary>
    public ulong Number { get; private set; }

    /// <summary>The value to compare with.</summary>
    public ReadOnlySpan<byte> Value { get; private set; }

    public static bool TryRead(scoped ref SpanReader reader, out TxnCompare compare)
    {
        compare = default;
        if (
            !reader.TryReadByte(out byte target)
            || !reader.TryReadByte(out byte relation)
            || !reader.TryReadBytes(out ReadOnlySpan<byte> key)
            || target > (byte)CompareTarget.Unwritten
            || relation > (target == (byte)CompareTarget.Unwritten ? (byte)CompareRelation.Equal : (byte)CompareRelation.Greater))
        {
            return false;
        }

        compare.Target = (CompareTarget)target;
        compare.Relation = (CompareRelation)relation;
        compare.Key = key;
        if (compare.Target == CompareTarget.Value)
        {
            bool read = reader.TryReadBytes(out ReadOnlySpan<byte> value);
            compare.Value = value;
            return read;
        }

        bool numbered =
            reader.TryReadVarint(out ulong number) && number <= (compare.Target == CompareTarget.Existence ? 1 : Core.Version.MaxValue);
        compare.Number = number;
        return numbered;
    }
}

using System.Buffers;
using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>
/// Collects a transaction: all comparisons hold → the commands of <see cref="Then"/>, else those of <see cref="Otherwise"/>, at one
/// version, on keys of one shard. Not thread-safe. Result: <see cref="CommandResult.Succeeded"/>, and one result for each command that ran
/// as payload.
/// </summary>
/// <remarks>
/// Commands see what those before them in the same transaction did. When one fails (a condition that does not hold, a value of the wrong
/// type), its result says so and the others still take effect, as in Redis; comparisons are the way to do all or nothing.
/// </remarks>
public sealed class TxnBuilder
{
    private readonly ArrayBufferWriter<byte> _compares = new();
    private int _compareCount;
    private bool _needsFormat4;

    /// <summary>What is done when all comparisons hold.</summary>
    public TxnBranch Then { get; } = new();

    /// <summary>What is done when one does not.</summary>
    public TxnBranch Otherwise { get; } = new();

    /// <summary>Comparisons and commands, together.</summary>
    public int Count => _compareCount + Then.Count + Otherwise.Count;

    /// <summary>Compares the version that wrote a key (0: does not exist).</summary>
    public TxnBuilder CompareVersion(ReadOnlySpan<byte> key, CompareRelation relation, Core.Version version) =>
        Compare(CompareTarget.Version, relation, key, version.Value, default);

    /// <summary>Compares a value bytewise; a key that does not exist is only <see cref="CompareRelation.NotEqual"/>.</summary>
    public TxnBuilder CompareValue(ReadOnlySpan<byte> key, CompareRelation relation, ReadOnlySpan<byte> value) =>
        Compare(CompareTarget.Value, relation, key, 0, value);

    /// <summary>Asks that a key exists, or that it does not.</summary>
    public TxnBuilder CompareExistence(ReadOnlySpan<byte> key, bool exists) =>
        Compare(CompareTarget.Existence, CompareRelation.Equal, key, exists ? 1UL : 0, default);

    /// <summary>
    /// Asks that a key was not written to, nor deleted, after a version at which the caller has seen all that was applied. Does not hold
    /// either when the shard has gone on by more than ten seconds since: then nobody can be sure.
    /// </summary>
    public TxnBuilder CompareUnwritten(ReadOnlySpan<byte> key, Core.Version since)
    {
        _needsFormat4 = true;
        return Compare(CompareTarget.Unwritten, CompareRelation.Equal, key, since.Value, default);
    }

    /// <summary>Appends the encoded transaction to a writer.</summary>
    public void Encode(IBufferWriter<byte> writer, SessionStamp session = default)
    {
        int size = checked((3 * Varint.MaxBytes) + _compares.WrittenCount + Then.Encoded.Length + Otherwise.Encoded.Length);
        int flags = (Then.NeedsFormat3 || Otherwise.NeedsFormat3 ? CommandView.Format3Flag : 0)
            | (_needsFormat4 ? CommandView.Format4Flag : 0);
        var output = new CommandEncoder.Output(writer, CommandKind.Txn, flags, session, size);
        output.Varint((ulong)_compareCount);
        output.Raw(_compares.WrittenSpan);
        output.Varint((ulong)Then.Count);
        output.Raw(Then.Encoded);
        output.Varint((ulong)Otherwise.Count);
        output.Raw(Otherwise.Encoded);
        output.Done(writer);
    }

    private TxnBuilder Compare(
        CompareTarget target,
        CompareRelation relation,
        ReadOnlySpan<byte> key,
        ulong number,
        ReadOnlySpan<byte> value)
    {
        if (relation > CompareRelation.Greater)
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"There is no relation {(int)relation}.");
        }

        SpanWriter writer = new(_compares.GetSpan(2 + (3 * Varint.MaxBytes) + key.Length + value.Length));
        writer.WriteByte((byte)target);
        writer.WriteByte((byte)relation);
        writer.WriteBytes(key);
        writer.WriteVarint(target == CompareTarget.Value ? (ulong)value.Length : number);
        writer.WriteRaw(value);
        _compares.Advance(writer.Written);
        _compareCount++;
        return this;
    }
}

/// <summary>The commands of one branch of a transaction, in order. Not thread-safe.</summary>
public sealed class TxnBranch
{
    private readonly ArrayBufferWriter<byte> _commands = new();

    /// <summary>How many commands there are.</summary>
    public int Count { get; private set; }

    internal bool NeedsFormat3 { get; private set; }

    internal ReadOnlySpan<byte> Encoded => _commands.WrittenSpan;

    /// <summary>Adds an encoded command without a session; transactions do not nest.</summary>
    public void Add(ReadOnlySpan<byte> command)
    {
        if (!CommandView.TryRead(command, nested: true, out _))
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                "A transaction holds well-formed commands without a session of their own, and no transactions.");
        }

        _commands.WriteBytes(command);
        NeedsFormat3 |= CommandView.NeedsFormat3(command);
        Count++;
    }
}

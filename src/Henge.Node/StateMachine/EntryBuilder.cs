using System.Buffers.Binary;
using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>
/// Makes the payload of one Raft entry from what waited: <c>format u8 | base version u64 LE | count u32 LE | (length varint |
/// command)*</c>. Command i has the version base + i. Reusable; not thread-safe; allocates only while it grows.
/// </summary>
internal sealed class EntryBuilder
{
    // An entry has the lowest format whose builds know all of its commands: older ones refuse it rather than do otherwise than the others.
    internal const byte Format = 4;

    // Before transactions could ask for what was not written.
    internal const byte HashFormat = 3;

    // Before hashes.
    internal const byte PlainFormat = 2;

    // Before sequence numbers of sessions had flags; the same in everything else.
    internal const byte OldestFormat = 1;
    internal const int HeaderBytes = 13;
    private byte[] _buffer = new byte[1024];
    private int _length = HeaderBytes;
    private byte _format = PlainFormat;

    /// <summary>Commands so far.</summary>
    public int Count { get; private set; }

    /// <summary>Bytes so far.</summary>
    public int ByteCount => _length;

    /// <summary>True when one more command may come in.</summary>
    public bool HasRoom => Count < CommandLimits.MaxEntryCommands;

    /// <summary>Adds an encoded command.</summary>
    public void Add(ReadOnlySpan<byte> command)
    {
        Invariant.Check(HasRoom);
        int needed = checked(_length + Varint.MaxBytes + command.Length);
        if (needed > _buffer.Length)
        {
            Array.Resize(ref _buffer, Math.Max(needed, _buffer.Length * 2));
        }

        SpanWriter writer = new(_buffer.AsSpan(_length));
        writer.WriteBytes(command);
        _format = Math.Max(_format, FormatOf(command));
        _length += writer.Written;
        Count++;
    }

    /// <summary>
    /// The payload, with the version of its first command (the proposer's <c>max(clock, last version in its log + 1)</c>). Without commands
    /// it is an advance, which only closes history up to the version. Valid until the next change.
    /// </summary>
    public ReadOnlyMemory<byte> Finish(Core.Version baseVersion)
    {
        WriteHeader(_buffer, _format, baseVersion, Count);
        return _buffer.AsMemory(0, _length);
    }

    /// <summary>As <see cref="Finish"/>, in an array of its own.</summary>
    public byte[] ToArray(Core.Version baseVersion) => Finish(baseVersion).ToArray();

    /// <summary>Makes it ready for the next entry.</summary>
    public void Clear()
    {
        _length = HeaderBytes;
        _format = PlainFormat;
        Count = 0;
    }

    /// <summary>The payload of an advance: no commands, history is closed up to the version.</summary>
    public static byte[] Advance(Core.Version version)
    {
        var payload = new byte[HeaderBytes];
        WriteHeader(payload, PlainFormat, version, 0);
        return payload;
    }

    /// <summary>The format that an entry with a command has at least.</summary>
    internal static byte FormatOf(ReadOnlySpan<byte> command) =>
        CommandView.NeedsFormat4(command) ? Format
        : CommandView.NeedsFormat3(command) ? HashFormat
        : PlainFormat;

    internal static void WriteHeader(Span<byte> payload, byte format, Core.Version baseVersion, int count)
    {
        payload[0] = format;
        BinaryPrimitives.WriteUInt64LittleEndian(payload[1..], baseVersion.Value);
        BinaryPrimitives.WriteUInt32LittleEndian(payload[9..], (uint)count);
    }
}

/// <summary>Walks the payload of one Raft entry. Never reads outside of it; bad bytes end the walk with <see cref="Damaged"/>.</summary>
internal ref struct EntryReader
{
    private SpanReader _reader;
    private int _index = -1;

    private EntryReader(SpanReader reader, byte format, Core.Version baseVersion, int count)
    {
        _reader = reader;
        Format = format;
        BaseVersion = baseVersion;
        Count = count;
    }

    /// <summary>The format that its header tells.</summary>
    public byte Format { get; }

    /// <summary>The version of the first command.</summary>
    public Core.Version BaseVersion { get; }

    /// <summary>How many commands there are.</summary>
    public int Count { get; }

    /// <summary>The last version that the entry uses: what a new leader goes on from.</summary>
    public readonly Core.Version LastVersion => new(BaseVersion.Value + (ulong)Math.Max(0, Count - 1));

    /// <summary>Which command it stands on, from 0.</summary>
    public readonly int Index => _index;

    /// <summary>The version of the command.</summary>
    public readonly Core.Version Version => new(BaseVersion.Value + (ulong)_index);

    /// <summary>The command.</summary>
    public ReadOnlySpan<byte> Command { get; private set; }

    /// <summary>True when the bytes did not make sense.</summary>
    public bool Damaged { get; private set; }

    /// <summary>Opens a payload; false when its header makes no sense or is of another format.</summary>
    public static bool TryOpen(ReadOnlySpan<byte> payload, out EntryReader reader)
    {
        reader = default;
        if (payload.Length < EntryBuilder.HeaderBytes || payload[0] is < EntryBuilder.OldestFormat or > EntryBuilder.Format)
        {
            return false;
        }

        ulong version = BinaryPrimitives.ReadUInt64LittleEndian(payload[1..]);
        uint count = BinaryPrimitives.ReadUInt32LittleEndian(payload[9..]);
        if (count > CommandLimits.MaxEntryCommands || version == 0 || version > Core.Version.MaxValue - CommandLimits.MaxEntryCommands)
        {
            return false;
        }

        reader = new EntryReader(new SpanReader(payload[EntryBuilder.HeaderBytes..]), payload[0], new Core.Version(version), (int)count);
        return true;
    }

    /// <summary>
    /// True for an entry whose versions there cannot be: builds before decision 0133 could commit one when a clock stood at the end of the
    /// range of versions, and no replica could apply it. It counts as empty.
    /// </summary>
    public static bool IsBeyondRange(ReadOnlySpan<byte> payload) =>
        payload.Length >= EntryBuilder.HeaderBytes && payload[0] is >= EntryBuilder.OldestFormat and <= EntryBuilder.Format
        && BinaryPrimitives.ReadUInt64LittleEndian(payload[1..]) > Core.Version.MaxValue - CommandLimits.MaxEntryCommands;

    /// <summary>The last version of a payload, for the proposer's next one; false when it makes no sense.</summary>
    public static bool TryGetLastVersion(ReadOnlySpan<byte> payload, out Core.Version version)
    {
        bool opened = TryOpen(payload, out EntryReader reader);
        version = opened ? reader.LastVersion : default;
        return opened;
    }

    /// <summary>Moves to the next command.</summary>
    public bool MoveNext()
    {
        if (Damaged)
        {
            return false;
        }

        if (_index + 1 >= Count)
        {
            Damaged = !_reader.IsEmpty;
            return false;
        }

        Damaged = !_reader.TryReadBytes(out ReadOnlySpan<byte> command);
        Command = command;
        _index++;
        return !Damaged;
    }
}

using Henge.Core;

namespace Henge.Node.StateMachine;

/// <summary>
/// As <see cref="EntryBuilder"/>, for commands whose bytes are known beforehand: writes them once, into the memory that the log keeps.
/// Count with <see cref="BytesOf"/>, add as many, and finish. Not thread-safe.
/// </summary>
/// <param name="commandBytes">The sum of <see cref="BytesOf"/> over all commands.</param>
internal ref struct EntryWriter(int commandBytes)
{
    private readonly byte[] _payload = GC.AllocateUninitializedArray<byte>(checked(EntryBuilder.HeaderBytes + commandBytes));
    private int _length = EntryBuilder.HeaderBytes;
    private byte _format = EntryBuilder.PlainFormat;

    /// <summary>Bytes that a command takes in an entry.</summary>
    public static int BytesOf(int commandLength) => checked(Varint.Size((ulong)commandLength) + commandLength);

    /// <summary>Adds an encoded command.</summary>
    public void Add(ReadOnlySpan<byte> command)
    {
        SpanWriter writer = new(_payload.AsSpan(_length));
        writer.WriteBytes(command);
        _length += writer.Written;
        _format = Math.Max(_format, EntryBuilder.FormatOf(command));
    }

    /// <summary>The payload, with the version of its first command.</summary>
    public readonly byte[] Finish(Core.Version baseVersion, int count)
    {
        Invariant.Check(_length == _payload.Length);
        EntryBuilder.WriteHeader(_payload, _format, baseVersion, count);
        return _payload;
    }
}

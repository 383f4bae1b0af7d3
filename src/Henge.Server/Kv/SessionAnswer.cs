using System.Buffers;
using Grpc.Core;

namespace Henge.Server.Kv;

/// <summary>
/// A SessionResponse: results of operations that have completed, which write themselves in place. One for each session, loaded again for
/// each message.
/// </summary>
internal sealed class SessionAnswer
{
    private SessionOperation? _first;
    private SessionOperation? _end;
    private int _size;

    /// <summary>How answers are written; nothing reads them.</summary>
    public static Marshaller<SessionAnswer> Marshaller { get; } =
        new(Write, static (DeserializationContext _) => throw new NotSupportedException());

    /// <summary>True while it has results that were not written.</summary>
    public bool IsLoaded => _first is not null;

    /// <summary>Takes the operations from one in a list to another, whose results have a size in bytes.</summary>
    public void Load(SessionOperation first, SessionOperation? end, int size) => (_first, _end, _size) = (first, end, size);

    private static void Write(SessionAnswer answer, SerializationContext context)
    {
        context.SetPayloadLength(answer._size);
        IBufferWriter<byte> writer = context.GetBufferWriter();
        Span<byte> span = writer.GetSpan(answer._size)[..answer._size];
        for (SessionOperation? operation = answer._first; !ReferenceEquals(operation, answer._end); operation = operation.NextDone)
        {
            operation!.WriteResult(span);
            span = span[operation.ResultBytes..];
        }

        answer._first = null;
        answer._end = null;
        writer.Advance(answer._size);
        context.Complete();
    }
}

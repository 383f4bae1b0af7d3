using System.Buffers;
using Grpc.Core;

namespace Henge.Server.Calls;

/// <summary>
/// A message that is encoded already: pages of scans and events of watches go from the engine into their buffer without an
/// object for each entry.
/// </summary>
internal sealed class EncodedMessage
{
    /// <summary>How such messages are written; nothing reads them.</summary>
    public static Marshaller<EncodedMessage> Marshaller { get; } =
        new(Write, static (DeserializationContext _) => throw new NotSupportedException());

    /// <summary>The encoded message. Must stay as it is until it was written.</summary>
    public ReadOnlyMemory<byte> Bytes { get; set; }

    private static void Write(EncodedMessage message, SerializationContext context)
    {
        context.SetPayloadLength(message.Bytes.Length);
        context.GetBufferWriter().Write(message.Bytes.Span);
        context.Complete();
    }
}

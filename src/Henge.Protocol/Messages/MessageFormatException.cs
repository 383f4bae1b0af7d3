using Google.Protobuf;

namespace Henge.Protocol.Messages;

/// <summary>Bytes that are no message in the wire format of Protocol Buffers.</summary>
internal sealed class MessageFormatException(string what, Exception? inner = null) : FormatException(what, inner)
{
    /// <summary>Reads a message into an object, as generated code does, with this error for what is none.</summary>
    public static T Parse<T>(MessageParser<T> parser, ReadOnlySpan<byte> message) where T : IMessage<T>
    {
        try
        {
            return parser.ParseFrom(message);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new MessageFormatException(e.Message, e);
        }
    }
}

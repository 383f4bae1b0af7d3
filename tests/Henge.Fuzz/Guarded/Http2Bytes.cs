using System.Buffers.Binary;
using System.Text;

namespace Henge.Fuzz.Guarded;

/// <summary>What a client of HTTP/2 sends, without a table of what it has sent before (RFC 9113, RFC 7541).</summary>
internal static class Http2Bytes
{
    /// <summary>The beginning of a connection: the preface, and settings without any.</summary>
    public static ReadOnlySpan<byte> Begin => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"u8;

    /// <summary>A connection with one gRPC call: its headers, its message, and the end of both.</summary>
    public static byte[] Call(string path, string? authorization, ReadOnlySpan<byte> message)
    {
        using MemoryStream block = new();
        block.Write([0x83, 0x86]); // :method POST, :scheme http
        Literal(block, [0x04], path);
        Literal(block, [0x01], "localhost");
        Literal(block, [0x0F, 0x10], "application/grpc");
        Literal(block, [0, 2, (byte)'t', (byte)'e'], "trailers");
        if (authorization is not null)
        {
            Literal(block, [0x0F, 0x08], authorization);
        }

        byte[] framed = new byte[5 + message.Length];
        BinaryPrimitives.WriteUInt32BigEndian(framed.AsSpan(1), (uint)message.Length);
        message.CopyTo(framed.AsSpan(5));
        using MemoryStream frames = new();
        frames.Write(Begin);
        Frame(frames, type: 1, flags: 4, stream: 1, block.ToArray());
        Frame(frames, type: 0, flags: 1, stream: 1, framed);
        return frames.ToArray();
    }

    private static void Literal(MemoryStream block, ReadOnlySpan<byte> name, string value)
    {
        byte[] bytes = Encoding.Latin1.GetBytes(value);
        block.Write(name);
        block.WriteByte((byte)Math.Min(bytes.Length, 127));
        if (bytes.Length >= 127)
        {
            int rest = bytes.Length - 127;
            for (; rest >= 128; rest >>= 7)
            {
                block.WriteByte((byte)(rest | 128));
            }

            block.WriteByte((byte)rest);
        }

        block.Write(bytes);
    }

    private static void Frame(MemoryStream frames, byte type, byte flags, uint stream, ReadOnlySpan<byte> payload)
    {
        Span<byte> head = stackalloc byte[9];
        BinaryPrimitives.WriteUInt32BigEndian(head, (uint)payload.Length << 8);
        (head[3], head[4]) = (type, flags);
        BinaryPrimitives.WriteUInt32BigEndian(head[5..], stream);
        frames.Write(head);
        frames.Write(payload);
    }
}

using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;

namespace Henge.Protocol;

/// <summary>
/// Unpacks one gzip member (RFC 1952): whole, with its checksum and length, and nothing behind it, or an error. The framework's stream
/// gives what it has of a member that is cut off, and passes over what stands behind one. A file of several members is refused: whoever
/// joins packed pieces for one message does not mean it (docs/decisions/0153). Thread-safe.
/// </summary>
public static class GzipMember
{
    private const int HeadBytes = 10, TrailerBytes = 8;

    /// <summary>
    /// The unpacked bytes; null when they are more than <paramref name="limitBytes"/>, which is noticed while they are unpacked. Throws
    /// <see cref="InvalidDataException"/> with what is wrong.
    /// </summary>
    public static byte[]? Inflate(ReadOnlyMemory<byte> packed, int limitBytes)
    {
        ReadOnlySpan<byte> all = packed.Span;
        int head = HeadOf(all);
        if (all.Length - head <= TrailerBytes)
        {
            throw new InvalidDataException("it is cut off.");
        }

        using MemoryStream plain = new();
        PiecewiseStream body = new(packed[head..^TrailerBytes]);
        byte[] chunk = ArrayPool<byte>.Shared.Rent(16 * 1024);
        try
        {
            using DeflateStream deflate = new(body, CompressionMode.Decompress);
            for (int read; (read = deflate.Read(chunk)) > 0;)
            {
                if (plain.Length + read > limitBytes)
                {
                    return null;
                }

                plain.Write(chunk, 0, read);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(chunk);
        }

        if (body.IsOverrun)
        {
            throw new InvalidDataException("it is cut off.");
        }

        ReadOnlySpan<byte> trailer = all[^TrailerBytes..];
        ReadOnlySpan<byte> unpacked = plain.GetBuffer().AsSpan(0, (int)plain.Length);
        if (!body.IsUsedUp || BinaryPrimitives.ReadUInt32LittleEndian(trailer[4..]) != (uint)unpacked.Length)
        {
            throw new InvalidDataException("there is something behind its end, or its end is missing.");
        }

        return BinaryPrimitives.ReadUInt32LittleEndian(trailer) == Crc32.HashToUInt32(unpacked)
            ? plain.ToArray()
            : throw new InvalidDataException("its checksum does not fit.");
    }

    /// <summary>Bytes of the header, with its optional fields.</summary>
    private static int HeadOf(ReadOnlySpan<byte> all)
    {
        const int HasHeadCrc = 2, HasExtra = 4, HasName = 8, HasComment = 16, Reserved = 0xE0;
        if (all.Length < HeadBytes)
        {
            throw new InvalidDataException("it is cut off.");
        }

        int flags = all[3];
        if (all[0] != 0x1F || all[1] != 0x8B || all[2] != 8 || (flags & Reserved) != 0)
        {
            throw new InvalidDataException("it does not begin as gzip does.");
        }

        int at = HeadBytes;
        if ((flags & HasExtra) != 0)
        {
            at = all.Length - at >= 2 ? at + 2 + BinaryPrimitives.ReadUInt16LittleEndian(all[at..]) : int.MaxValue;
        }

        for (int texts = ((flags & HasName) != 0 ? 1 : 0) + ((flags & HasComment) != 0 ? 1 : 0); texts > 0; texts--)
        {
            int length = at < all.Length ? all[at..].IndexOf((byte)0) : -1;
            at = length >= 0 ? at + length + 1 : int.MaxValue;
        }

        if ((flags & HasHeadCrc) != 0 && at <= all.Length - 2)
        {
            if (BinaryPrimitives.ReadUInt16LittleEndian(all[at..]) != (ushort)Crc32.HashToUInt32(all[..at]))
            {
                throw new InvalidDataException("the checksum of its header does not fit.");
            }

            at += 2;
        }

        return at <= all.Length ? at : throw new InvalidDataException("it is cut off.");
    }

    /// <summary>
    /// Gives all bytes but the last at once, then the last: whether the decoder asked for that one, and for more, says whether its data
    /// ended where the bytes do.
    /// </summary>
    private sealed class PiecewiseStream(ReadOnlyMemory<byte> bytes) : Stream
    {
        private ReadOnlyMemory<byte> _rest = bytes;

        /// <summary>All bytes were asked for.</summary>
        public bool IsUsedUp => _rest.IsEmpty;

        /// <summary>More bytes were asked for than there are.</summary>
        public bool IsOverrun { get; private set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override int Read(Span<byte> buffer)
        {
            if (_rest.IsEmpty)
            {
                IsOverrun = true;
                return 0;
            }

            int length = Math.Min(buffer.Length, Math.Max(1, _rest.Length - 1));
            _rest.Span[..length].CopyTo(buffer);
            _rest = _rest[length..];
            return length;
        }

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}

using System.Buffers.Binary;
using System.IO.Hashing;
using Henge.Core;

namespace Henge.Server.Operations;

/// <summary>
/// Where another request can go on with a scan: <c>1 | fingerprint u64 LE | version varint | key</c>. The fingerprint is that of range and
/// direction, so that a token of another scan is noticed. Pure functions.
/// </summary>
internal static class ScanContinuation
{
    private const byte FormatVersion = 1;
    private const int HeadBytes = 1 + sizeof(ulong);

    /// <summary>The token of a place.</summary>
    /// <param name="fingerprint">That of the scan.</param>
    /// <param name="version">The version that the scan reads at.</param>
    /// <param name="key">Where it goes on.</param>
    public static ReadOnlyMemory<byte> Encode(ulong fingerprint, Core.Version version, ReadOnlySpan<byte> key)
    {
        byte[] token = new byte[HeadBytes + Varint.MaxBytes + key.Length];
        token[0] = FormatVersion;
        BinaryPrimitives.WriteUInt64LittleEndian(token.AsSpan(1), fingerprint);
        int at = HeadBytes + Varint.Write(token.AsSpan(HeadBytes), version.Value);
        key.CopyTo(token.AsSpan(at));
        return token.AsMemory(0, at + key.Length);
    }

    /// <summary>The place that a token names. Throws <see cref="HengeException"/> (InvalidArgument) for one of another scan.</summary>
    /// <param name="token">The token.</param>
    /// <param name="fingerprint">That of the scan that is to go on.</param>
    /// <param name="version">The version that the token's scan reads at.</param>
    public static ReadOnlySpan<byte> Decode(ReadOnlySpan<byte> token, ulong fingerprint, out Core.Version version)
    {
        if (
            token.Length <= HeadBytes
            || token[0] != FormatVersion
            || !Varint.TryRead(token[HeadBytes..], out ulong number, out int bytes)
            || number > Core.Version.MaxValue)
        {
            throw KvValidation.Invalid("The continuation is not one that a scan gave. Send the bytes of the last response as they are.");
        }

        if (BinaryPrimitives.ReadUInt64LittleEndian(token[1..]) != fingerprint)
        {
            throw KvValidation.Invalid(
                "The continuation belongs to a scan of another range or direction. Repeat the request that it came from, and change only "
                    + "the continuation.");
        }

        version = new Core.Version(number);
        return token[(HeadBytes + bytes)..];
    }

    /// <summary>The fingerprint of a scan's range and direction.</summary>
    public static ulong FingerprintOf(in ScanTerms terms)
    {
        OperationBuffer buffer = new();
        foreach (ReadOnlyMemory<byte> part in (ReadOnlySpan<ReadOnlyMemory<byte>>)[terms.Prefix, terms.Start, terms.End])
        {
            buffer.Advance(Varint.Write(buffer.GetSpan(Varint.MaxBytes), (ulong)part.Length));
            buffer.Append(part.Span);
        }

        ulong hash = XxHash64.HashToUInt64(buffer.Span, terms.Reverse ? 1 : 0);
        buffer.Clear();
        return hash;
    }
}

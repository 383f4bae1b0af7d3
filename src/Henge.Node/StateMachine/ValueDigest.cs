using System.Buffers.Binary;
using System.IO.Hashing;

namespace Henge.Node.StateMachine;

/// <summary>
/// The digest of a value that conditions compare: XXH3 of 64 bits without a seed, as Redis 8.4 has it for DIGEST. Not for adversaries. Pure
/// functions.
/// </summary>
public static class ValueDigest
{
    /// <summary>Bytes of a digest in a command.</summary>
    public const int Bytes = sizeof(ulong);

    /// <summary>The digest of a value.</summary>
    public static ulong Of(ReadOnlySpan<byte> value) => XxHash3.HashToUInt64(value);

    /// <summary>A digest as a condition's comparand.</summary>
    public static byte[] ToComparand(ulong digest)
    {
        var bytes = new byte[Bytes];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, digest);
        return bytes;
    }
}

using System.Buffers.Binary;

namespace Henge.Fuzz.Driving;

/// <summary>
/// Changes inputs at random, as AFL's "havoc" stage does: bits, bytes, numbers at the edge of their range, pieces taken out, doubled, or
/// taken from another input. The same seed gives the same changes. Not thread-safe.
/// </summary>
internal sealed class Mutator(int seed)
{
    private static readonly ulong[] Edges =
    [
        0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x1_0000_0000, long.MaxValue,
            1UL << 63, ulong.MaxValue,
    ];

    private readonly Random _random = new(seed);

    /// <summary>One to eight changes of an input, or of a piece of <paramref name="other"/> put into it.</summary>
    public byte[] Change(ReadOnlySpan<byte> input, ReadOnlySpan<byte> other, int longest)
    {
        var bytes = new List<byte>(input.Length + 64);
        bytes.AddRange(input);
        for (int left = 1 << _random.Next(4); left > 0; left--)
        {
            ChangeOnce(bytes, other);
        }

        if (bytes.Count > longest)
        {
            bytes.RemoveRange(longest, bytes.Count - longest);
        }

        return [.. bytes];
    }

    private void ChangeOnce(List<byte> bytes, ReadOnlySpan<byte> other)
    {
        int at = _random.Next(bytes.Count + 1), length = Math.Min(1 + _random.Next(1 << _random.Next(6)), bytes.Count - at);
        switch (_random.Next(9))
        {
            case 0 when at < bytes.Count:
                bytes[at] ^= (byte)(1 << _random.Next(8));
                break;
            case 1 when at < bytes.Count:
                bytes[at] = (byte)_random.Next(256);
                break;
            case 2 when at < bytes.Count:
                bytes[at] = (byte)(bytes[at] + _random.Next(-8, 9));
                break;
            case 3:
                Overwrite(bytes, at, Number());
                break;
            case 4:
                bytes.RemoveRange(at, length);
                break;
            case 5:
                bytes.InsertRange(at, bytes.GetRange(bytes.Count == 0 ? 0 : _random.Next(bytes.Count - length + 1), length));
                break;
            case 6:
                bytes.InsertRange(at, Number());
                break;
            case 7 when other.Length > 0:
                int from = _random.Next(other.Length);
                bytes.InsertRange(at, other.Slice(from, Math.Min(1 + _random.Next(64), other.Length - from)).ToArray());
                break;
            default:
                bytes.RemoveRange(at, bytes.Count - at);
                break;
        }
    }

    // A number at an edge, in one of the forms that formats have: little-endian, big-endian, varint, decimal.
    private byte[] Number()
    {
        ulong value = Edges[_random.Next(Edges.Length)] + (ulong)_random.Next(3) - 1;
        byte[] fixedSize = new byte[8];
        switch (_random.Next(4))
        {
            case 0:
                BinaryPrimitives.WriteUInt64LittleEndian(fixedSize, value);
                return fixedSize[..(1 << _random.Next(4))];
            case 1:
                BinaryPrimitives.WriteUInt64BigEndian(fixedSize, value);
                return fixedSize[^(1 << _random.Next(4))..];
            case 2:
                byte[] varint = new byte[Core.Varint.MaxBytes];
                return varint[..Core.Varint.Write(varint, value)];
            default:
                return System.Text.Encoding.ASCII.GetBytes(value.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    private static void Overwrite(List<byte> bytes, int at, byte[] with)
    {
        for (int i = 0; i < with.Length && at + i < bytes.Count; i++)
        {
            bytes[at + i] = with[i];
        }
    }
}

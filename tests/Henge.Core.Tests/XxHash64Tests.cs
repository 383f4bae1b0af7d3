using System.IO.Hashing;
using System.Text;

namespace Henge.Core.Tests;

public sealed class XxHash64Tests
{
    private const ulong Prime32 = 2654435761;

    [Theory]
    [InlineData("", 0UL, 0xEF46DB3751D8E999)]
    [InlineData("a", 0UL, 0xD24EC4F1A98C6E5B)]
    [InlineData("abc", 0UL, 0x44BC2CF5AD770999)]
    [InlineData("xxhash", 0UL, 0x32DD38952C4BC720)]
    [InlineData("xxhash", 20141025UL, 0xB559B98D844E0635)]
    [InlineData("Nobody inspects the spammish repetition", 0UL, 0xFBCEA83C8A378BF1)]
    public void Known_hashes_of_text_hold(string text, ulong seed, ulong expected) =>
        Assert.Equal(expected, XxHash64.HashToUInt64(Encoding.ASCII.GetBytes(text), unchecked((long)seed)));

    // The reference implementation's own self-test, over its generated buffer.
    [Theory]
    [InlineData(0, 0UL, 0xEF46DB3751D8E999)]
    [InlineData(0, Prime32, 0xAC75FDA2929B17EF)]
    [InlineData(1, 0UL, 0x4FCE394CC88952D8)]
    [InlineData(1, Prime32, 0x739840CB819FA723)]
    [InlineData(14, 0UL, 0xCFFA8DB881BC3A3D)]
    [InlineData(14, Prime32, 0x5B9611585EFCC9CB)]
    [InlineData(101, 0UL, 0x0EAB543384F878AD)]
    [InlineData(101, Prime32, 0xCAA65939306F1E21)]
    public void The_self_test_of_the_reference_holds(int length, ulong seed, ulong expected)
    {
        byte[] buffer = new byte[101];
        uint generator = (uint)Prime32;
        for (int i = 0; i < buffer.Length; i++)
        {
            buffer[i] = (byte)(generator >> 24);
            generator = unchecked(generator * generator);
        }

        Assert.Equal(expected, XxHash64.HashToUInt64(buffer.AsSpan(0, length), unchecked((long)seed)));
    }
}

namespace Henge.Stack;

/// <summary>
/// Answers with values of 64 bytes for the keys that redis-benchmark asks for, which end in twelve digits. Thread-safe: it is only read.
/// </summary>
internal sealed class ArrayOfValues
{
    private const int Count = 100_000;
    private readonly byte[][] _replies =
    [
        .. Enumerable.Range(0, Count).Select(static i => System.Text.Encoding.ASCII.GetBytes($"$64\r\n{i:D64}\r\n")),
    ];

    public ReadOnlySpan<byte> Of(ReadOnlySpan<byte> key)
    {
        long number = 0;
        foreach (byte digit in key[^Math.Min(12, key.Length)..])
        {
            number = (number * 10) + digit - '0';
        }

        return _replies[(int)((ulong)number % Count)];
    }
}

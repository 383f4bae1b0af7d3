using System.Buffers;
using System.IO.Pipelines;

namespace Henge.Stack;

/// <summary>
/// The least that a RESP server does: requests that are there are answered from an array, and the answers leave in one write. No limits, no
/// errors, no store: this is a bound to compare with, not a server. For one connection.
/// </summary>
internal sealed class RespLoop(ArrayOfValues values, IDuplexPipe transport)
{
    public async Task RunAsync()
    {
        while (true)
        {
            ReadResult read = await transport.Input.ReadAsync();
            ReadOnlySequence<byte> input = read.Buffer;
            if (input.IsEmpty && read.IsCompleted)
            {
                return;
            }

            SequencePosition consumed = Answer(input);
            transport.Input.AdvanceTo(consumed, input.End);
            if ((await transport.Output.FlushAsync()).IsCompleted)
            {
                return;
            }
        }
    }

    // Requests that lie in one piece of memory are read there; what crosses two pieces is copied together first.
    private SequencePosition Answer(ReadOnlySequence<byte> input)
    {
        ReadOnlySpan<byte> bytes = input.IsSingleSegment ? input.FirstSpan : input.ToArray();
        int done = 0;
        while (TryReadRequest(bytes[done..], out int length, out ReadOnlySpan<byte> command, out ReadOnlySpan<byte> key))
        {
            transport.Output.Write(command.SequenceEqual("GET"u8) ? values.Of(key) : "+OK\r\n"u8);
            done += length;
        }

        return input.GetPosition(done);
    }

    // *N, then N times $LENGTH and as many bytes. Gives the first two of them.
    private static bool TryReadRequest(ReadOnlySpan<byte> bytes, out int length, out ReadOnlySpan<byte> command, out ReadOnlySpan<byte> key)
    {
        command = key = default;
        length = 0;
        if (!TryReadNumber(bytes, ref length, out int parts))
        {
            return false;
        }

        for (int i = 0; i < parts; i++)
        {
            if (!TryReadNumber(bytes, ref length, out int size) || bytes.Length - length < size + 2)
            {
                return false;
            }

            ReadOnlySpan<byte> part = bytes.Slice(length, size);
            length += size + 2;
            command = i == 0 ? part : command;
            key = i == 1 ? part : key;
        }

        return true;
    }

    private static bool TryReadNumber(ReadOnlySpan<byte> bytes, ref int at, out int number)
    {
        number = 0;
        int end = bytes[at..].IndexOf((byte)'\n');
        if (end < 2)
        {
            return false;
        }

        foreach (byte digit in bytes.Slice(at + 1, end - 2))
        {
            number = (number * 10) + digit - '0';
        }

        at += end + 1;
        return true;
    }
}

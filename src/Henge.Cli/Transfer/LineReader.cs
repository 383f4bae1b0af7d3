using System.Buffers;

namespace Henge.Cli.Transfer;

/// <summary>
/// Lines of a stream with where they end, in a buffer that grows to the longest line and never beyond the limit. One reader at a time.
/// </summary>
internal sealed class LineReader(Stream stream, long offset) : IDisposable
{
    /// <summary>Longest line, in bytes: what the largest value takes as base64, with room to spare.</summary>
    public const int LimitLineBytes = 256 * 1024 * 1024;

    private byte[] _buffer = ArrayPool<byte>.Shared.Rent(128 * 1024);
    private int _start;
    private int _end;
    private bool _ended;

    /// <summary>Where the line that was read last ends, in bytes from the beginning of the file, its line end included.</summary>
    public long Offset { get; private set; } = offset;

    /// <summary>
    /// The next line without its end, valid until the next call; null at the end. Throws <see cref="FormatException"/> for a line over the
    /// limit.
    /// </summary>
    public async ValueTask<ReadOnlyMemory<byte>?> ReadAsync(CancellationToken cancellationToken)
    {
        int searched = _start;
        while (true)
        {
            int length = _buffer.AsSpan(searched, _end - searched).IndexOf((byte)'\n');
            if (length >= 0)
            {
                return Take(searched + length - _start, withEnd: true);
            }

            if (_ended)
            {
                // Not in one expression: null would become an empty line.
                if (_end == _start)
                {
                    return null;
                }

                return Take(_end - _start, withEnd: false);
            }

            searched = MakeRoom();
            int read = await stream.ReadAsync(_buffer.AsMemory(_end), cancellationToken).ConfigureAwait(false);
            _ended = read == 0;
            _end += read;
        }
    }

    private ReadOnlyMemory<byte> Take(int length, bool withEnd)
    {
        ReadOnlyMemory<byte> line = _buffer.AsMemory(_start, length);
        int taken = length + (withEnd ? 1 : 0);
        _start += taken;
        Offset += taken;
        return line.Length > 0 && line.Span[^1] == '\r' ? line[..^1] : line;
    }

    /// <summary>Moves what is unread to the front of a buffer with room; returns where unsearched bytes will be.</summary>
    private int MakeRoom()
    {
        int unread = _end - _start;
        if (unread >= LimitLineBytes)
        {
            throw new FormatException($"the line has more than {LimitLineBytes} bytes; is it a file of lines?");
        }

        byte[] target = unread > _buffer.Length / 2 ? ArrayPool<byte>.Shared.Rent(_buffer.Length * 2) : _buffer;
        _buffer.AsSpan(_start, unread).CopyTo(target);
        if (!ReferenceEquals(target, _buffer))
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = target;
        }

        _start = 0;
        _end = unread;
        return unread;
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }
}

using System.Text;

namespace Henge.Cli.Output;

/// <summary>
/// Standard output as bytes: values go out as they are, text as UTF-8. Buffered; flush before waiting for anything. Not thread-safe.
/// </summary>
internal sealed class OutputWriter(Stream stream)
{
    private readonly byte[] _buffer = new byte[16 * 1024];
    private int _used;
    private bool _broken;

    public void Write(string text)
    {
        int most = Encoding.UTF8.GetMaxByteCount(text.Length);
        if (most <= _buffer.Length - _used)
        {
            _used += Encoding.UTF8.GetBytes(text, _buffer.AsSpan(_used));
        }
        else
        {
            Write(Encoding.UTF8.GetBytes(text));
        }
    }

    public void Write(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length > _buffer.Length - _used)
        {
            Flush();
            if (bytes.Length >= _buffer.Length)
            {
                Send(bytes);
                return;
            }
        }

        bytes.CopyTo(_buffer.AsSpan(_used));
        _used += bytes.Length;
    }

    public void WriteLine(string text = "")
    {
        Write(text);
        Write("\n"u8);
    }

    public void Flush()
    {
        int used = _used;
        _used = 0;
        Send(_buffer.AsSpan(0, used));
        if (!_broken)
        {
            stream.Flush();
        }
    }

    private void Send(ReadOnlySpan<byte> bytes)
    {
        // What failed once is told of once; the rest of the way out must not fail again.
        if (_broken || bytes.IsEmpty)
        {
            return;
        }

        _broken = true;
        stream.Write(bytes);
        _broken = false;
    }
}

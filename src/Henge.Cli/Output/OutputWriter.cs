using System.Text;

namespace Henge.Cli;

/// <summary>Standard output as bytes: values go out as they are, text as UTF-8. Buffered; flush before waiting for anything. Not thread-safe.</summary>
internal sealed class OutputWriter(Stream stream)
{
    private readonly byte[] _buffer = new byte[16 * 1024];
    private int _used;

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
                stream.Write(bytes);
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
        stream.Write(_buffer, 0, _used);
        _used = 0;
        stream.Flush();
    }
}

using System.Text;

namespace Henge.Protocol.Messages;

/// <summary>The value of a string field: text to write, or bytes that were read and become text when somebody asks.</summary>
internal readonly ref struct TextField
{
    private readonly string? _text;
    private readonly ReadOnlySpan<byte> _bytes;

    /// <summary>A value that was read.</summary>
    public TextField(ReadOnlySpan<byte> bytes) => _bytes = bytes;

    /// <summary>A value to write.</summary>
    public TextField(string? text) => _text = text;

    /// <summary>True when there is nothing in it.</summary>
    public bool IsEmpty => string.IsNullOrEmpty(_text) && _bytes.IsEmpty;

    /// <summary>Bytes of the field.</summary>
    public int Size => FieldWriter.SizeOfBytes(Length);

    private int Length => _text is null ? _bytes.Length : Encoding.UTF8.GetByteCount(_text);

    /// <summary>Writes the field, unless it is empty.</summary>
    public void Write(ref FieldWriter writer, int field)
    {
        if (string.IsNullOrEmpty(_text))
        {
            writer.Write(field, _bytes);
        }
        else
        {
            writer.WriteText(field, _text, Length);
        }
    }

    /// <inheritdoc/>
    public override string ToString() => _text ?? Encoding.UTF8.GetString(_bytes);
}

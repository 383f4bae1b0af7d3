using System.Buffers.Text;
using System.Text;

namespace Henge.Server.Resp.Wire;

/// <summary>The arguments of one command; the first is its name. Points into memory that lives as long as the batch.</summary>
internal readonly struct RespArguments(List<ReadOnlyMemory<byte>> all, int start, int count)
{
    /// <summary>How many, the name included.</summary>
    public int Count => count;

    /// <summary>One of them as memory.</summary>
    public ReadOnlyMemory<byte> this[int index] => all[start + index];

    /// <summary>One of them as bytes.</summary>
    public ReadOnlySpan<byte> Span(int index) => all[start + index].Span;

    /// <summary>One of them as text, for messages.</summary>
    public string Text(int index) => Encoding.UTF8.GetString(Span(index));

    /// <summary>True when one of them is this word, in any case. The word is in upper case.</summary>
    public bool Is(int index, ReadOnlySpan<byte> word) => Ascii.EqualsIgnoreCase(Span(index), word);

    /// <summary>One of them as an integer, as strictly as Redis reads one.</summary>
    public bool TryInteger(int index, out long value) => TryInteger(Span(index), out value);

    /// <summary>Some bytes as an integer: no blanks, no plus sign, no leading zeros.</summary>
    public static bool TryInteger(ReadOnlySpan<byte> text, out long value) =>
        Utf8Parser.TryParse(text, out value, out int used) && used == text.Length && text[0] != '+' &&
        (text.Length == 1 || (text[0] != '0' && !(text[0] == '-' && text[1] == '0')));

    /// <summary>Copies that outlive the batch (for MULTI).</summary>
    public RespArguments Copy()
    {
        var copies = new List<ReadOnlyMemory<byte>>(count);
        for (int i = 0; i < count; i++)
        {
            copies.Add(this[i].ToArray());
        }

        return new RespArguments(copies, 0, count);
    }
}

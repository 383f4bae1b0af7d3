using System.Text;

namespace Henge.Cli.Output;

/// <summary>A plain table for people: columns as wide as they need to be, numbers to the right. Not thread-safe.</summary>
internal sealed class Table(params string[] headers)
{
    private readonly List<string[]> _rows = [];
    private readonly HashSet<int> _alignedRight = [];

    /// <summary>Aligns columns to the right.</summary>
    public Table AlignRight(params ReadOnlySpan<int> columns)
    {
        foreach (int column in columns)
        {
            _alignedRight.Add(column);
        }

        return this;
    }

    public void Add(params string[] cells) => _rows.Add(cells);

    public override string ToString()
    {
        int[] widths = new int[headers.Length];
        for (int i = 0; i < widths.Length; i++)
        {
            widths[i] = Math.Max(headers[i].Length, _rows.Select(r => r[i].Length).DefaultIfEmpty().Max());
        }

        StringBuilder text = new();
        Line(text, headers, widths);
        Line(text, [.. widths.Select(w => new string('-', w))], widths);
        foreach (string[] row in _rows)
        {
            Line(text, row, widths);
        }

        return text.ToString();
    }

    private void Line(StringBuilder text, string[] cells, int[] widths)
    {
        int start = text.Length;
        for (int i = 0; i < cells.Length; i++)
        {
            text.Append(i > 0 ? "  " : "").Append(_alignedRight.Contains(i) ? cells[i].PadLeft(widths[i]) : cells[i].PadRight(widths[i]));
        }

        int end = text.Length;
        while (end > start && text[end - 1] == ' ')
        {
            end--;
        }

        text.Length = end;
        text.Append('\n');
    }
}

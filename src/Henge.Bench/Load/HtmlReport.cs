using System.Globalization;
using System.Net;
using System.Text;

namespace Henge.Bench.Load;

/// <summary>One self-contained page for one or more results: a table, throughput over time, latency by percentile. No scripts, no outside files.</summary>
public static class HtmlReport
{
    private const int Width = 860, Height = 300, Left = 80, Bottom = 44, Top = 16, Right = 20;
    private const string Style = """
        body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em;color:#222;background:#fff}
        table{border-collapse:collapse;width:100%}td,th{padding:.3em .6em;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}
        svg{width:100%;height:auto;background:#fafafa;border:1px solid #ddd}text{font-size:12px;fill:#555}
        @media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}svg{background:#202020;border-color:#444}text{fill:#aaa}td,th{border-color:#444}}
        """;
    private static readonly string[] Colours = ["#2266cc", "#cc5522", "#229944", "#8844aa", "#aa8800", "#008899"];

    /// <summary>The page.</summary>
    public static string Create(string title, IReadOnlyList<LoadResult> results)
    {
        var html = new StringBuilder();
        html.Append("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>").Append(Text(title)).Append("</title><style>").Append(Style);
        html.Append("</style></head><body><h1>").Append(Text(title)).Append("</h1>");
        Table(html, results);
        html.Append("<h2>Throughput over time</h2>");
        Plot(html, [.. results.Select(r => r.Samples.Select(s => (s.Seconds, s.OperationsPerSecond)).ToArray())], results, "seconds", "operations a second", false);
        html.Append("<h2>Latency by percentile</h2>");
        Plot(html, [.. results.Select(r => r.All.Curve.Select(c => (Nines(c[0]), c[1])).ToArray())], results, "share of operations", "milliseconds", true);
        return html.Append("</body></html>").ToString();
    }

    // The tail is where latency happens: each step of the axis is one more nine.
    private static double Nines(double share) => -Math.Log10(1 - share);

    private static void Table(StringBuilder html, IReadOnlyList<LoadResult> results)
    {
        html.Append("<table><tr><th>target</th><th>mix</th><th>clients × pipeline</th><th>ops/s</th><th>p50 ms</th><th>p95</th><th>p99</th><th>p99.9</th><th>max</th><th>errors</th></tr>");
        foreach (LoadResult r in results)
        {
            html.Append(CultureInfo.InvariantCulture, $"<tr><td>{Text(r.Target)}</td><td>{Text(r.Workload)}</td><td>{r.Concurrency} × {r.Pipeline}</td><td>{r.OperationsPerSecond:N0}</td><td>{r.All.P50Ms:F2}</td><td>{r.All.P95Ms:F2}</td><td>{r.All.P99Ms:F2}</td><td>{r.All.P999Ms:F2}</td><td>{r.All.MaxMs:F1}</td><td>{r.Errors:N0}</td></tr>");
        }

        html.Append("</table>");
    }

    private static void Plot(StringBuilder html, (double X, double Y)[][] lines, IReadOnlyList<LoadResult> results, string xLabel, string yLabel, bool nines)
    {
        double maxX = Math.Max(1e-9, lines.SelectMany(l => l).Select(p => p.X).DefaultIfEmpty(1).Max());
        double maxY = Math.Max(1e-9, lines.SelectMany(l => l).Select(p => p.Y).DefaultIfEmpty(1).Max()) * 1.05;
        double X(double v) => Left + v / maxX * (Width - Left - Right);
        double Y(double v) => Height - Bottom - v / maxY * (Height - Top - Bottom);
        html.Append(CultureInfo.InvariantCulture, $"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"{yLabel} by {xLabel}\">");
        for (int i = 0; i <= 4; i++)
        {
            double y = maxY * i / 4;
            html.Append(CultureInfo.InvariantCulture, $"<line x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(y):F1}\" y2=\"{Y(y):F1}\" stroke=\"#8884\"/><text x=\"{Left - 8}\" y=\"{Y(y) + 4:F1}\" text-anchor=\"end\">{(maxY < 20 ? y.ToString("F1", CultureInfo.InvariantCulture) : y.ToString("N0", CultureInfo.InvariantCulture))}</text>");
        }

        for (int i = 0; i <= (nines ? (int)maxX : 6); i++)
        {
            double x = nines ? i : maxX * i / 6;
            string label = nines ? ((1 - Math.Pow(10, -i)) * 100).ToString("0.####", CultureInfo.InvariantCulture) + "%" : x.ToString("F1", CultureInfo.InvariantCulture);
            html.Append(CultureInfo.InvariantCulture, $"<text x=\"{X(x):F1}\" y=\"{Height - Bottom + 16}\" text-anchor=\"middle\">{label}</text>");
        }

        html.Append(CultureInfo.InvariantCulture, $"<text x=\"{Width / 2}\" y=\"{Height - 8}\" text-anchor=\"middle\">{xLabel}</text><text x=\"{Left}\" y=\"12\">{yLabel}</text>");
        for (int i = 0; i < lines.Length; i++)
        {
            string points = string.Join(' ', lines[i].Select(p => string.Create(CultureInfo.InvariantCulture, $"{X(p.X):F1},{Y(p.Y):F1}")));
            html.Append(CultureInfo.InvariantCulture, $"<polyline fill=\"none\" stroke=\"{Colours[i % Colours.Length]}\" stroke-width=\"2\" points=\"{points}\"><title>{Text(results[i].Target)}</title></polyline>");
        }

        html.Append("</svg><p>");
        for (int i = 0; i < results.Count; i++)
        {
            html.Append(CultureInfo.InvariantCulture, $"<span style=\"color:{Colours[i % Colours.Length]}\">■</span> {Text(results[i].Target)} &nbsp; ");
        }

        html.Append("</p>");
    }

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}

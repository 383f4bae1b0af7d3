using System.Globalization;
using System.Net;
using System.Text;

namespace Henge.Bench.Load;

/// <summary>
/// One self-contained page for one or more results: what was measured and on what, tables, throughput over time, latency by percentile. No
/// scripts, no outside files.
/// </summary>
public static class HtmlReport
{
    internal const string Style = """
        body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:60em;padding:0 1em;color:#222;background:#fff}h1{margin-bottom:0}
        .wide{overflow-x:auto}table{border-collapse:collapse;width:100%}td,th{padding:.3em .6em;text-align:right;border-bottom:1px solid #ddd;white-space:nowrap}
        td:first-child,th:first-child{text-align:left}dl{display:grid;grid-template-columns:max-content 1fr;gap:.1em 1.2em}dt{color:#777}dd{margin:0;overflow-wrap:anywhere}
        svg{width:100%;height:auto;background:#fafafa;border:1px solid #ddd}text{font-size:12px;fill:#555}.legend span{margin-right:1.5em}
        @media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}svg{background:#202020;border-color:#444}text{fill:#aaa}td,th{border-color:#444}dt{color:#999}}
        """;
    internal static readonly string[] Colours = ["#2266cc", "#cc5522", "#229944", "#8844aa", "#aa8800", "#008899"];

    /// <summary>The page. Results are told apart by their numbers where there are several.</summary>
    public static string Create(string title, IReadOnlyList<LoadResult> results)
    {
        var html = new StringBuilder();
        html.Append(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>"
        );
        html.Append(Text(title))
            .Append("</title><style>")
            .Append(Style)
            .Append("</style></head><body><h1>")
            .Append(Text(title))
            .Append("</h1>");
        for (int i = 0; i < results.Count; i++)
        {
            Facts(html, results[i], results.Count > 1 ? $"{i + 1}: " : "");
            Table(html, results[i]);
        }

        html.Append("<h2>Throughput over time</h2>");
        HtmlPlot.OverTime(
            html,
            Lines(results, (r, reads) => [.. r.Samples.Select(s => (s.Seconds, reads ? s.ReadsPerSecond : s.WritesPerSecond))]),
            "operations a second");
        html.Append("<h2>Latency by percentile</h2>");
        HtmlPlot.Percentiles(html, Lines(results, (r, reads) => [.. (reads ? r.Reads : r.Writes).Curve.Select(c => (c[0], c[1]))]));
        return html.Append("</body></html>").ToString();
    }

    // Reads are a whole line, writes a dashed one; what a run has none of has no line.
    private static List<PlotLine> Lines(
        IReadOnlyList<LoadResult> results,
        Func<LoadResult, bool, IReadOnlyList<(double X, double Y)>> points)
    {
        List<PlotLine> lines = [];
        for (int i = 0; i < results.Count; i++)
        {
            foreach (bool reads in (bool[])[true, false])
            {
                if ((reads ? results[i].Reads : results[i].Writes).Count > 0)
                {
                    string number = results.Count > 1 ? $"{i + 1}: " : "";
                    string colour = results.Count > 1 || reads ? Colours[i % Colours.Length] : Colours[1];
                    lines.Add(new PlotLine(number + (reads ? "reads" : "writes"), colour, !reads, points(results[i], reads)));
                }
            }
        }

        return lines;
    }

    private static void Facts(StringBuilder html, LoadResult r, string number)
    {
        string rate = r.Rate > 0 ? string.Create(CultureInfo.InvariantCulture, $", {r.Rate:#,0} operations a second asked for") : "";
        html.Append(
            CultureInfo.InvariantCulture,
            $"<h2>{number}{Text(r.Workload)}: {r.OperationsPerSecond:#,0} operations a second</h2><dl>");
        Fact(html, "target", r.Target);
        Fact(
            html,
            "load",
            string.Create(
                CultureInfo.InvariantCulture,
                $"{r.Concurrency} workers × {r.Pipeline} under way, values of {r.ValueBytes} bytes{rate}"));
        Fact(
            html,
            "measured",
            string.Create(
                CultureInfo.InvariantCulture,
                $"{r.Operations:#,0} operations in {r.Seconds:0.0} s, {r.Errors:#,0} errors, {r.Missing:#,0} reads of absent keys"));
        if (r.Changes.Count > 0)
        {
            Fact(
                html,
                "cluster",
                string.Join(
                    "; ",
                    r.Changes.Select(static c => string.Create(CultureInfo.InvariantCulture, $"{c.Seconds:0.0} s: {c.Text}"))));
        }

        Fact(html, "date", r.Date.ToString("yyyy-MM-dd HH:mm:ss 'UTC'", CultureInfo.InvariantCulture));
        Fact(html, "Henge", r.HengeVersion);
        Fact(html, "machine", r.Machine);
        html.Append("</dl>");
    }

    private static void Fact(StringBuilder html, string name, string value) =>
        html.Append("<dt>").Append(name).Append("</dt><dd>").Append(Text(value)).Append("</dd>");

    private static void Table(StringBuilder html, LoadResult r)
    {
        html.Append(
            "<div class=\"wide\"><table><tr><th></th><th>operations</th><th>a second</th><th>mean "
                + "ms</th><th>p50</th><th>p95</th><th>p99</th><th>p99.9</th><th>max</th></tr>");
        foreach ((string name, LatencySummary l) in ((string, LatencySummary)[])[("reads", r.Reads), ("writes", r.Writes), ("all", r.All)])
        {
            if (l.Count > 0)
            {
                html.Append(
                    CultureInfo.InvariantCulture,
                    $"<tr><td>{name}</td><td>{l.Count:#,0}</td><td>{l.Count / Math.Max(1e-9, r.Seconds):#,0}</td><td>{l.MeanMs:F2}</td><td>{l.P50Ms:F2}</td><td>{l.P95Ms:F2}</td><td>{l.P99Ms:F2}</td><td>{l.P999Ms:F2}</td><td>{l.MaxMs:F1}</td></tr>"
                );
            }
        }

        html.Append("</table></div>");
    }

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}

using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Henge.Bench.Load;

namespace Henge.Bench.Engine;

/// <summary>What one engine did of a comparison.</summary>
/// <param name="Engine">Its name.</param>
/// <param name="Results">Its results, in order.</param>
/// <param name="Problem">Why there are not all of them; null when there are.</param>
public sealed record EngineRun(string Engine, IReadOnlyList<EngineBenchResult> Results, string? Problem = null);

/// <summary>
/// The same workloads on several engines, side by side: rows of workloads, columns of engines. Pure functions.
/// </summary>
public static class EngineComparison
{
    /// <summary>The workloads of a comparison, in an order in which each finds the data that it needs.</summary>
    public static IReadOnlyList<string> Workloads { get; } =
    [
        "fillseq", "fillrandom", "overwrite", "readrandom", "readmissing", "seekrandom", "readseq", "readwhilewriting", "filllarge",
        "ttlchurn", "fillhistory", "readhistory", "restart",
    ];

    /// <summary>Whether an engine has a workload: what keeps nothing over a restart has none.</summary>
    public static bool Has(string engine, string workload) => workload != "restart" || engine != "memory";

    /// <summary>Results as <c>henge bench engine --output json</c> prints them.</summary>
    public static IReadOnlyList<EngineBenchResult> Parse(string json) =>
        JsonSerializer.Deserialize(json, EngineBenchJson.Default.IReadOnlyListEngineBenchResult) ?? [];

    /// <summary>The tables: a title each, a head, and rows. The first cell of a row is the workload or what was measured.</summary>
    public static IReadOnlyList<(string Title, string[] Head, IReadOnlyList<string[]> Rows)> Tables(IReadOnlyList<EngineRun> runs)
    {
        string[] head = ["", .. runs.Select(static r => r.Engine)];
        return
        [
            ("Operations a second", head, Rows(runs, static r => r.Name == "restart" ? "" : Number(r.OperationsPerSecond))),
            ("99th percentile, microseconds", head, Rows(runs, static r => r.Name == "restart" ? "" : Fine(r.P99Micros))),
            ("Space, memory, restart", head,
            [
                ["bytes on disk in the end for each that was written since fillrandom", .. runs.Select(static r => Space(r))],
                ["memory that fillseq took, bytes a key", .. runs.Select(static r => Memory(r))],
                [
                    "memory of the process in the end, MiB",
                    .. runs.Select(static r => Mebibytes(r.Results.Count > 0 ? r.Results[^1].ResidentBytes : 0)),
                ],
                [
                    "managed bytes allocated for a read (readrandom)",
                    .. runs.Select(static r => Of(r, "readrandom", static x => Fine(x.AllocatedBytesPerOperation))),
                ],
                ["restart to the first read, ms", .. runs.Select(static r => Of(r, "restart", static x => Fine(x.Seconds * 1_000)))],
            ]),
        ];
    }

    /// <summary>A page with the tables and a bar for each figure. No scripts, no outside files.</summary>
    public static string ToHtml(string title, IReadOnlyList<EngineRun> runs)
    {
        var html = new StringBuilder();
        html.Append("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">")
            .Append("<title>").Append(Text(title)).Append("</title><style>").Append(HtmlReport.Style)
            .Append(".bar{height:.9em;display:inline-block;vertical-align:middle}.row{white-space:nowrap}.n{display:inline-block;width:8em}")
            .Append("</style></head><body><h1>").Append(Text(title)).Append("</h1>");
        foreach ((string name, string[] head, IReadOnlyList<string[]> rows) in Tables(runs))
        {
            html.Append("<h2>").Append(Text(name)).Append("</h2><div class=\"wide\"><table><tr>");
            AppendCells(html, "th", head);
            html.Append("</tr>");
            foreach (string[] row in rows)
            {
                html.Append("<tr>");
                AppendCells(html, "td", row);
                html.Append("</tr>");
            }

            html.Append("</table></div>");
        }

        html.Append("<h2>Operations a second, as a share of the fastest</h2>");
        foreach (string workload in Workloads.Where(static w => w != "restart"))
        {
            Bars(html, workload, runs);
        }

        foreach (EngineRun run in runs.Where(static r => r.Problem is not null))
        {
            html.Append("<p>").Append(Text(run.Engine)).Append(": ").Append(Text(run.Problem!)).Append("</p>");
        }

        return html.Append("</body></html>").ToString();
    }

    private static void Bars(StringBuilder html, string workload, IReadOnlyList<EngineRun> runs)
    {
        double best = runs.Select(r => Find(r, workload)?.OperationsPerSecond ?? 0).DefaultIfEmpty().Max();
        if (best <= 0)
        {
            return;
        }

        html.Append("<h3>").Append(Text(workload)).Append("</h3>");
        for (int i = 0; i < runs.Count; i++)
        {
            double rate = Find(runs[i], workload)?.OperationsPerSecond ?? 0;
            html.Append(
                CultureInfo.InvariantCulture,
                $"<div class=\"row\"><span class=\"n\">{Text(runs[i].Engine)}</span><span class=\"bar\" style=\"width:"
                    + $"{rate / best * 60:0.0}%;background:{HtmlReport.Colours[i % HtmlReport.Colours.Length]}\"></span> {Number(rate)}</div>");
        }
    }

    private static string[][] Rows(IReadOnlyList<EngineRun> runs, Func<EngineBenchResult, string> cell) =>
    [
        .. Workloads.Where(static w => w != "restart").Select(w => (string[])[w, .. runs.Select(r => Of(r, w, cell))]),
    ];

    private static EngineBenchResult? Find(EngineRun run, string workload) =>
        run.Results.FirstOrDefault(r => r.Name == workload);

    private static string Of(EngineRun run, string workload, Func<EngineBenchResult, string> cell) =>
        Find(run, workload) is { } result ? cell(result) : "-";

    // Restart flushes, so that all is on disk; what has been merged by then is the engine's affair.
    private static string Space(EngineRun run)
    {
        long written = run.Results.SkipWhile(static r => r.Name != "fillrandom").Sum(static r => r.LogicalBytes);
        return Find(run, "restart") is { DiskBytes: > 0 } end && written > 0 ? Fine((double)end.DiskBytes / written) : "-";
    }

    private static string Memory(EngineRun run) =>
        Find(run, "fillseq") is { Operations: > 0 } fill
            ? Number((fill.ResidentBytes - fill.ResidentBytesBefore) / (double)fill.Operations)
            : "-";

    private static string Mebibytes(long bytes) => bytes == 0 ? "-" : Number(bytes / 1048576.0);

    private static string Number(double value) => value.ToString("#,0", CultureInfo.InvariantCulture);

    private static string Fine(double value) => value.ToString("#,0.##", CultureInfo.InvariantCulture);

    private static string Text(string text) => WebUtility.HtmlEncode(text);

    private static void AppendCells(StringBuilder html, string tag, string[] cells)
    {
        foreach (string cell in cells)
        {
            html.Append('<').Append(tag).Append('>').Append(Text(cell)).Append("</").Append(tag).Append('>');
        }
    }
}

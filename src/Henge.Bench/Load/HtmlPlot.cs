using System.Globalization;
using System.Net;
using System.Text;

namespace Henge.Bench.Load;

/// <summary>One line of a plot.</summary>
internal sealed record PlotLine(string Name, string Colour, bool Dashed, IReadOnlyList<(double X, double Y)> Points);

/// <summary>A plot with a legend, as SVG within a page.</summary>
internal static class HtmlPlot
{
    private const int Width = 860, Height = 320, Left = 84, Bottom = 48, Top = 28, Right = 28;

    /// <summary>Values over seconds, on axes that begin at 0.</summary>
    public static void OverTime(StringBuilder html, IReadOnlyList<PlotLine> lines, string yLabel)
    {
        IReadOnlyList<double> x = AxisTicks.Linear(
            lines.SelectMany(static l => l.Points).Select(static p => p.X).DefaultIfEmpty(1).Max(),
            8);
        IReadOnlyList<double> y = AxisTicks.Linear(
            lines.SelectMany(static l => l.Points).Select(static p => p.Y).DefaultIfEmpty(1).Max(),
            5);
        Draw(
            html, lines, "seconds", yLabel,
            [.. x.Select(v => (v / x[^1], Number(v)))], [.. y.Select(v => (v / y[^1], Number(v)))],
            v => v / x[^1], v => v / y[^1]);
    }

    /// <summary>
    /// Latencies in milliseconds over the share of operations that they were not exceeded by. Each step to the right is one more nine, as
    /// the tail is where latency happens; the upward axis is logarithmic, so that the median can be read beside the tail.
    /// </summary>
    public static void Percentiles(StringBuilder html, IReadOnlyList<PlotLine> lines)
    {
        (double X, double Y)[] points = [.. lines.SelectMany(static l => l.Points).Where(static p => p.Y > 0)];
        IReadOnlyList<double> y = AxisTicks.Logarithmic(
            points.Select(static p => p.Y).DefaultIfEmpty(1).Min(),
            points.Select(static p => p.Y).DefaultIfEmpty(1).Max());
        double least = Math.Log10(y[0]),
            span = Math.Max(1e-9, Math.Log10(y[^1]) - least);
        double maxNines = Math.Max(1, points.Select(static p => Nines(p.X)).DefaultIfEmpty(1).Max());
        double Y(double v) => (Math.Log10(Math.Max(v, y[0])) - least) / span;
        double[] shares = [0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999];
        Draw(
            html,
            lines,
            "share of operations",
            "milliseconds (logarithmic)",
            [
                .. shares
                    .Where(s => Nines(s) <= maxNines + 1e-9)
                    .Select(s => (Nines(s) / maxNines, "p" + (s * 100).ToString("0.###", CultureInfo.InvariantCulture))),
            ],
            [.. y.Select(v => (Y(v), Number(v)))],
            v => Nines(v) / maxNines, Y);
    }

    private static double Nines(double share) => -Math.Log10(1 - share);

    private static string Number(double value) => value >= 1000
        ? value.ToString("#,0", CultureInfo.InvariantCulture)
        : value.ToString("0.#####", CultureInfo.InvariantCulture);

    private static void Draw(
        StringBuilder html,
        IReadOnlyList<PlotLine> lines,
        string xLabel,
        string yLabel,
        (double At, string Label)[] xTicks,
        (double At, string Label)[] yTicks,
        Func<double, double> scaleX,
        Func<double, double> scaleY)
    {
        double X(double share) => Left + (share * (Width - Left - Right));
        double Y(double share) => Height - Bottom - (share * (Height - Top - Bottom));
        html.Append(
            CultureInfo.InvariantCulture,
            $"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"{yLabel} by {xLabel}\">");
        foreach ((double at, string label) in yTicks)
        {
            html.Append(
                CultureInfo.InvariantCulture,
                $"<line x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{Y(at):F1}\" y2=\"{Y(at):F1}\" stroke=\"#8884\"/><text x=\"{Left - 8}\" "
                    + $"y=\"{Y(at) + 4:F1}\" text-anchor=\"end\">{label}</text>");
        }

        foreach ((double at, string label) in xTicks)
        {
            html.Append(
                CultureInfo.InvariantCulture,
                $"<line x1=\"{X(at):F1}\" x2=\"{X(at):F1}\" y1=\"{Height - Bottom}\" y2=\"{Height - Bottom + 5}\" stroke=\"#8888\"/><text "
                    + $"x=\"{X(at):F1}\" y=\"{Height - Bottom + 18}\" text-anchor=\"middle\">{label}</text>");
        }

        html.Append(
            CultureInfo.InvariantCulture,
            $"<text x=\"{(Left + Width - Right) / 2}\" y=\"{Height - 8}\" text-anchor=\"middle\">{xLabel}</text><text x=\"{Left}\" "
                + $"y=\"16\">{yLabel}</text>");
        foreach (PlotLine line in lines)
        {
            string points = string.Join(
                ' ',
                line.Points.Select(p => string.Create(CultureInfo.InvariantCulture, $"{X(scaleX(p.X)):F1},{Y(scaleY(p.Y)):F1}")));
            string dash = line.Dashed ? " stroke-dasharray=\"6 4\"" : "";
            html.Append(
                CultureInfo.InvariantCulture,
                $"<polyline fill=\"none\" stroke=\"{line.Colour}\" stroke-width=\"2\"{dash} "
                    + $"points=\"{points}\"><title>{WebUtility.HtmlEncode(line.Name)}</title></polyline>");
        }

        html.Append("</svg><p class=\"legend\">");
        foreach (PlotLine line in lines)
        {
            html.Append(
                CultureInfo.InvariantCulture,
                $"<span><b style=\"color:{line.Colour}\">{(line.Dashed ? "╌╌" : "━━")}</b> {WebUtility.HtmlEncode(line.Name)}</span> ");
        }

        html.Append("</p>");
    }
}

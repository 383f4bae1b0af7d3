using System.Globalization;
using System.Text.RegularExpressions;

namespace Henge.Server.Tests.Metrics;

/// <summary>A strict reader of Prometheus' text format 0.0.4: what it takes, Prometheus takes.</summary>
internal sealed partial class PrometheusText
{
    private readonly Dictionary<string, string> _types = new(StringComparer.Ordinal);

    public Dictionary<string, double> Samples { get; } = new(StringComparer.Ordinal);

    public IReadOnlyDictionary<string, string> Types => _types;

    public double this[string sample] => Samples[sample];

    public static PrometheusText Parse(string text)
    {
        PrometheusText parsed = new();
        string? family = null;
        HashSet<string> done = [];
        Assert.EndsWith("\n", text);
        Assert.DoesNotContain('\r', text);
        foreach (string line in text[..^1].Split('\n'))
        {
            if (line.StartsWith("# HELP ", StringComparison.Ordinal))
            {
                string name = line.Split(' ')[2];
                Assert.Matches(NamePattern(), name);
                Assert.True(done.Add(name), $"{name} comes twice");
                family = name;
            }
            else if (line.StartsWith("# TYPE ", StringComparison.Ordinal))
            {
                string[] words = line.Split(' ');
                Assert.Equal(4, words.Length);
                Assert.Equal(family, words[2]);
                Assert.Contains(words[3], (string[])["counter", "gauge", "histogram"]);
                parsed._types.Add(words[2], words[3]);
            }
            else
            {
                parsed.ReadSample(line, family!);
            }
        }

        parsed.CheckHistograms();
        return parsed;
    }

    private void ReadSample(string line, string family)
    {
        Match match = SamplePattern().Match(line);
        Assert.True(match.Success, $"not a sample: {line}");
        string name = match.Groups["name"].Value;
        string plain = _types[family] == "histogram" ? Suffix().Replace(name, "") : name;
        Assert.Equal(family, plain);
        if (_types[family] == "counter")
        {
            Assert.EndsWith("_total", name);
        }

        string value = match.Groups["value"].Value;
        Assert.True(
            Samples.TryAdd(match.Groups["series"].Value, double.Parse(value, CultureInfo.InvariantCulture)),
            $"comes twice: {line}");
    }

    private void CheckHistograms()
    {
        foreach ((string series, double count) in Samples.Where(s => s.Key.Contains("_count", StringComparison.Ordinal)).ToList())
        {
            string name = series.Split('{')[0];
            if (!_types.TryGetValue(name[..^"_count".Length], out string? type) || type != "histogram")
            {
                continue;
            }

            string labels = series.Contains('{', StringComparison.Ordinal)
                ? series[(series.IndexOf('{', StringComparison.Ordinal) + 1)..^1] + ","
                : "";
            string bucket = name[..^"_count".Length] + "_bucket{" + labels;
            double[] buckets = [.. Samples.Where(s => s.Key.StartsWith(bucket + "le=", StringComparison.Ordinal)).Select(s => s.Value)];
            Assert.NotEmpty(buckets);
            Assert.Equal(buckets.Order(), buckets);
            Assert.Equal(count, Samples[bucket + "le=\"+Inf\"}"]);
        }
    }

    [GeneratedRegex("^[a-zA-Z_:][a-zA-Z0-9_:]*$")]
    private static partial Regex NamePattern();

    [GeneratedRegex(
        """^(?<series>(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\[\\n"])*"(,[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\[\\n"])*")*\})?) (?<value>[0-9.E+-]+|\+Inf|NaN)$"""
    )]
    private static partial Regex SamplePattern();

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex Suffix();
}

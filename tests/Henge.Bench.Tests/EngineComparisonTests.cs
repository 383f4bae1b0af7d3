using Henge.Bench.Engine;

namespace Henge.Bench.Tests;

/// <summary>Engines side by side: what is read from their processes, and what is shown of it.</summary>
public sealed class EngineComparisonTests
{
    [Fact]
    public void What_an_engine_prints_is_read_again()
    {
        EngineBenchResult result = Result("fillseq", 1_000, 0.5) with { DiskBytes = 7, ResidentBytes = 9, LogicalBytes = 11 };
        Assert.Equal([result], EngineComparison.Parse(EngineBenchReport.ToJson([result])));
    }

    [Fact]
    public void Engines_are_columns_and_what_one_does_not_have_is_a_dash()
    {
        EngineRun[] runs =
        [
            new("lsm",
            [
                Result("fillrandom", 100, 1) with { LogicalBytes = 1_000 },
                Result("readrandom", 3_000, 2),
                Result("restart", 1, 0.25) with { DiskBytes = 1_500 },
            ]),
            new("memory", [Result("readrandom", 8_000, 2)]),
            new("rocksdb", [], "it did not load"),
        ];
        IReadOnlyList<(string Title, string[] Head, IReadOnlyList<string[]> Rows)> tables = EngineComparison.Tables(runs);
        Assert.All(tables, static t => Assert.Equal(["", "lsm", "memory", "rocksdb"], t.Head));
        Assert.Equal(["readrandom", "1,500", "4,000", "-"], tables[0].Rows.Single(static r => r[0] == "readrandom"));
        Assert.DoesNotContain(tables[0].Rows, static r => r[0] == "restart");
        Assert.Equal(["1.5", "-", "-"], tables[2].Rows.Single(static r => r[0].StartsWith("bytes on disk", StringComparison.Ordinal))[1..]);
        Assert.Equal(["250", "-", "-"], tables[2].Rows.Single(static r => r[0].StartsWith("restart", StringComparison.Ordinal))[1..]);

        string page = EngineComparison.ToHtml("a < b", runs);
        Assert.Contains("<h1>a &lt; b</h1>", page, StringComparison.Ordinal);
        Assert.Contains("rocksdb: it did not load", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", page, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("lsm", 1_000_000)]
    [InlineData("memory", 0)]
    [InlineData("rocksdb", 1_000_000)]
    public void Every_engine_does_every_workload_of_a_comparison(string engine, long leastDiskBytes)
    {
        string directory = Directory.CreateTempSubdirectory("henge-bench").FullName;
        try
        {
            using EngineBench bench = new(new EngineBenchOptions
            {
                Directory = Path.Combine(directory, "db"),
                Engine = engine,
                Benchmarks = [.. EngineComparison.Workloads.Where(w => EngineComparison.Has(engine, w))],
                Num = 2_000,
                DisableLog = true,
            });
            List<EngineBenchResult> results = [];
            bench.Run(results.Add);
            Assert.Equal(EngineComparison.Workloads.Where(w => EngineComparison.Has(engine, w)), results.Select(static r => r.Name));
            EngineBenchResult history = results.Single(static r => r.Name == "readhistory");
            Assert.Equal(history.Operations, history.Found);
            Assert.True(results[^1].DiskBytes >= leastDiskBytes, $"{results[^1].DiskBytes} bytes on disk");
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static EngineBenchResult Result(string name, long operations, double seconds) => new()
    {
        Name = name,
        Operations = operations,
        Seconds = seconds,
        Found = 0,
        P50Micros = 1,
        P95Micros = 1,
        P99Micros = 1,
        P999Micros = 1,
        MaxMicros = 1,
    };
}

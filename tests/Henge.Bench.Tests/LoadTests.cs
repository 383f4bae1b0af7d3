using System.Collections.Concurrent;
using Henge.Bench.Load;

namespace Henge.Bench.Tests;

public sealed class LoadTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Percentiles_are_right_to_within_two_percent(int seed)
    {
        var random = new Random(seed);
        var histogram = new LatencyHistogram();
        long[] values = [.. Enumerable.Range(0, 20_000).Select(_ => (long)Math.Pow(10, random.NextDouble() * 9))];
        Array.ForEach(values, histogram.Record);
        Array.Sort(values);
        foreach (double share in (double[])[0.5, 0.9, 0.99, 0.999, 1])
        {
            long exact = values[(int)Math.Ceiling(share * values.Length) - 1];
            Assert.InRange(histogram.Percentile(share), exact, exact * 1.02 + 1);
        }

        Assert.Equal(values[^1], histogram.MaxNs);
    }

    [Fact]
    public void Merged_histograms_count_as_one()
    {
        LatencyHistogram a = new(), b = new();
        a.Record(10);
        b.Record(1_000_000);
        a.Add(b);
        Assert.Equal(2, a.Count);
        Assert.InRange(a.Percentile(1), 1_000_000, 1_020_000);
        Assert.Equal(10, a.Percentile(0.5));
    }

    [Fact]
    public void Zipfian_keys_are_skewed_and_uniform_ones_are_not()
    {
        static double ShareOfHottest(KeyDistributionKind kind)
        {
            var keys = new KeyDistribution(kind, new KeyCounter(10_000), 1);
            var counts = new long[10_000];
            for (int i = 0; i < 200_000; i++)
            {
                counts[keys.Next()]++;
            }

            return counts.OrderDescending().Take(100).Sum() / 200_000.0;
        }

        Assert.InRange(ShareOfHottest(KeyDistributionKind.Uniform), 0.01, 0.03);
        Assert.InRange(ShareOfHottest(KeyDistributionKind.Zipfian), 0.4, 0.7);
    }

    [Theory]
    [InlineData("A", 0.5)]
    [InlineData("B", 0.95)]
    [InlineData("F", 0.5)]
    public void A_workload_has_the_shares_of_its_name(string name, double reads)
    {
        Workload workload = Workload.Ycsb(name);
        var random = new Random(1);
        Assert.InRange(
            Enumerable.Range(0, 50_000).Count(_ => workload.Choose(random.NextDouble()) == LoadAction.Read) / 50_000.0,
            reads - 0.02,
            reads + 0.02);
    }

    [Fact]
    public async Task A_run_does_exactly_the_operations_that_were_asked_for_and_counts_errors_apart()
    {
        var target = new DictionaryTarget { FailEvery = 10 };
        var options = new LoadOptions
        {
            Concurrency = 4,
            Pipeline = 3,
            Operations = 1_000,
            Keys = 100,
            Preload = true,
            WarmUp = TimeSpan.Zero,
        };
        LoadResult result = await new LoadRunner(target, options).RunAsync(null, TestContext.Current.CancellationToken);
        Assert.Equal(1_000, result.Operations + result.Errors);
        Assert.True(result.Errors > 0);
        Assert.Equal(0, result.Missing);
        Assert.Equal(100, target.Data.Count);
        Assert.Contains("\"operationsPerSecond\"", result.ToJson(), StringComparison.Ordinal);
        string page = HtmlReport.Create("a <test>", [result]);
        Assert.Contains("<svg", page, StringComparison.Ordinal);
        Assert.Contains("a &lt;test&gt;", page, StringComparison.Ordinal);
        Assert.All(
            [result.Target, result.HengeVersion, BenchMachine.Description, result.Date.ToString("yyyy-MM-dd")],
            fact => Assert.Contains(System.Net.WebUtility.HtmlEncode(fact), page, StringComparison.Ordinal));
        Assert.All(
            ["<td>reads</td>", "<td>writes</td>", "</b> reads", "</b> writes", "p50", "p90"],
            part => Assert.Contains(part, page, StringComparison.Ordinal));
    }

    [Fact]
    public void Axes_have_marks_that_people_read_at_a_glance()
    {
        Assert.Equal([0, 2000, 4000, 6000, 8000], AxisTicks.Linear(7686, 5));
        Assert.Equal([0, 0.5, 1, 1.5, 2, 2.5], AxisTicks.Linear(2.5, 5).Select(t => Math.Round(t, 9)));
        Assert.Equal([0.2, 0.5, 1, 2, 5, 10, 20, 50], AxisTicks.Logarithmic(0.3, 42).Select(t => Math.Round(t, 9)));
        Assert.Equal([0.5, 1], AxisTicks.Logarithmic(0.6, 0.9).Select(t => Math.Round(t, 9)));
    }

    [Fact]
    public async Task An_open_loop_counts_latency_from_when_an_operation_was_due()
    {
        // One operation stalls until twenty more have become due; a closed loop would show one slow operation, an open one shows all that
        // waited.
        var target = new DictionaryTarget { StallFirst = true };
        var options = new LoadOptions { Concurrency = 1, Operations = 20, Rate = 1_000, Keys = 10, WarmUp = TimeSpan.Zero };
        LoadResult result = await new LoadRunner(target, options).RunAsync(null, TestContext.Current.CancellationToken);
        Assert.True(result.All.P50Ms > 100, $"p50 was {result.All.P50Ms} ms");
    }

    [Fact]
    public async Task What_changes_in_the_cluster_during_a_run_is_noted_whichever_node_tells_it()
    {
        static ClusterView View(
            string nodes,
            ulong generation,
            params (string Leader, ulong Term, string Replicas, ulong Index)[] shards) => new()
            {
                Nodes = nodes.Split(' '),
                NodesGeneration = generation,
                Shards = [.. shards.Select(static s => new ShardView(s.Leader, s.Term, s.Replicas.Split(' '), (1, s.Index)))],
            };
        ClusterView first = View("a b", 1, ("a", 1, "a b", 1), ("b", 1, "a b", 1));
        ClusterView later = View("a b c", 2, ("c", 2, "a c", 2), ("b", 1, "a b", 1));
        ClusterView end = View("a c", 3, ("c", 2, "a c", 2), ("", 2, "a c", 3));
        Queue<ClusterView> views = new([first, later, first, end]);
        await using var target = new DictionaryTarget { View = views.Dequeue };
        ClusterChanges changes = new(target);
        foreach (double seconds in (double[])[0, 0.25, 0.5, 1, 1.5, 2, 2.25])
        {
            changes.Look(seconds, CancellationToken.None);
        }

        await changes.EndAsync(3, CancellationToken.None);
        Assert.Equal(
            [
                (1.5, "c joined"),
                (1.5, "1 shard has another leader"),
                (1.5, "1 shard has other replicas"),
                (3, "b left"),
                (3, "1 shard has no leader"),
                (3, "1 shard has other replicas"),
            ],
            changes.Noted.Select(static c => (c.Seconds, c.Text)));

        int told = 0;
        await using var changing = new DictionaryTarget { View = () => told++ == 0 ? first : end };
        LoadResult result = await new LoadRunner(
            changing,
            new LoadOptions { Concurrency = 1, Keys = 10, Duration = TimeSpan.FromSeconds(1), WarmUp = TimeSpan.Zero })
            .RunAsync(null, CancellationToken.None);
        Assert.Contains("c joined", HtmlReport.Create("run", [result]), StringComparison.Ordinal);
        Assert.Contains("c joined", result.ToJson(), StringComparison.Ordinal);
    }

    private sealed class DictionaryTarget : ILoadTarget, ILoadConnection
    {
        private int _calls;

        public int FailEvery { get; init; }

        public bool StallFirst { get; init; }

        public ConcurrentDictionary<string, byte[]> Data { get; } = [];

        public string Name => "dictionary";

        public Func<ClusterView?>? View { get; init; }

        public Task<ClusterView?> ViewAsync(CancellationToken cancellationToken) => Task.FromResult(View?.Invoke());

        public Task<ILoadConnection> ConnectAsync(int worker, CancellationToken cancellationToken) =>
            Task.FromResult<ILoadConnection>(this);

        public async ValueTask<bool> GetAsync(ReadOnlyMemory<byte> key, CancellationToken cancellationToken)
        {
            await CallAsync();
            return StallFirst || Data.ContainsKey(Convert.ToHexString(key.Span));
        }

        public async ValueTask PutAsync(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
        {
            if (Data.Count == 100)
            {
                await CallAsync();
            }

            Data[Convert.ToHexString(key.Span)] = value.ToArray();
        }

        public ValueTask<int> ScanAsync(ReadOnlyMemory<byte> start, int limit, CancellationToken cancellationToken) =>
            ValueTask.FromResult(0);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;

        private async ValueTask CallAsync()
        {
            int call = Interlocked.Increment(ref _calls);
            if (StallFirst && call == 1)
            {
                // The stall is the subject of the test: 300 ms in which 20 operations become due, a millisecond apart.
                using var timer = new CancellationTokenSource(TimeSpan.FromMilliseconds(300));
                var over = new TaskCompletionSource();
                await using CancellationTokenRegistration registration = timer.Token.Register(over.SetResult);
                await over.Task;
            }

            if (FailEvery > 0 && call % FailEvery == 0)
            {
                throw new InvalidOperationException("on purpose");
            }
        }
    }
}

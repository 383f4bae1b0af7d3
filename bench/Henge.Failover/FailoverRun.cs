using System.Diagnostics;
using System.Globalization;
using Henge.Client;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Failover;

/// <summary>
/// Kills a leader again and again while clients write to every shard, and measures how long the shards that it led go without an
/// acknowledged write. The clock of a shard starts when the process is killed, and stops when a write is acknowledged that was called after
/// the process was gone.
/// </summary>
internal sealed class FailoverRun(Cluster cluster, int kills, CancellationToken cancel)
{
    private readonly string[] _keys = KeysByShard(cluster.Shards);
    private readonly List<double> _worstOfKillMs = [];
    private readonly List<double> _shardMs = [];
    private readonly List<double> _gapMs = [];
    private readonly List<double> _roundMs = [];
    private readonly List<double> _withPreVoteMs = [];
    private readonly List<double> _firstRoundMs = [];
    private readonly ulong[] _seen = new ulong[Cluster.Nodes];
    private long _longestGap;
    private long _acknowledged;
    private long _unknown;

    public async Task RunAsync()
    {
        using CancellationTokenSource enough = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        Task[] load = [.. _keys.Select(k => WriteAsync(k, enough.Token))];
        await HarvestAsync(_firstRoundMs, []);
        for (int kill = 0; kill < kills; kill++)
        {
            // Let the load run a little, and leaders go back to where they belong.
            long before = Interlocked.Read(ref _acknowledged);
            while (Interlocked.Read(ref _acknowledged) < before + 200)
            {
                await Task.Delay(10, cancel);
            }

            await HarvestAsync(_roundMs, _withPreVoteMs);
            int[] leaders = await SettledLeadersAsync();
            int victim = leaders[kill % leaders.Length];
            Volatile.Write(ref _longestGap, 0);
            long killed = Stopwatch.GetTimestamp();
            cluster.Kill(victim);
            double[] outagesMs = await Task.WhenAll(
                Enumerable.Range(0, leaders.Length).Where(s => leaders[s] == victim).Select(s => ProbeAsync(_keys[s], killed)));
            _shardMs.AddRange(outagesMs);
            _worstOfKillMs.Add(outagesMs.Max());
            _seen[victim] = 0;
            cluster.Start(victim);
            await cluster.WaitReadyAsync();
            _gapMs.Add(TimeSpan.FromTicks(Volatile.Read(ref _longestGap)).TotalMilliseconds);
            Console.Error.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"kill {kill + 1}/{kills}: {Cluster.NameOf(victim)}, {outagesMs.Length} shards, {outagesMs.Min():F0} to "
                        + $"{outagesMs.Max():F0} ms; longest write of the load {_gapMs[^1]:F0} ms"));
        }

        await HarvestAsync(_roundMs, _withPreVoteMs);
        await enough.CancelAsync();
        await Task.WhenAll(load);
    }

    public void Print(TextWriter output)
    {
        output.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{kills} leaders killed with -9; {_shardMs.Count} shards lost their leader; {_acknowledged} writes acknowledged, "
                    + $"{_unknown} with unknown outcome"));
        output.WriteLine();
        output.WriteLine("milliseconds                                                       median      p90    worst");
        Row("kill to the next acknowledged write, each shard", _shardMs);
        Row("kill to the next acknowledged write, the slowest shard of a kill", _worstOfKillMs);
        Row("longest write of the running load at each kill", _gapMs);
        Row($"election, candidate to leader ({_roundMs.Count} seen)", _roundMs);
        Row("election with PreVote", _withPreVoteMs);
        Row($"election, candidate to leader, at the cluster's start ({_firstRoundMs.Count})", _firstRoundMs);

        void Row(string what, List<double> valuesMs)
        {
            double[] sorted = [.. valuesMs.Order()];
            if (sorted.Length > 0)
            {
                output.WriteLine(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{what,-64} {sorted[sorted.Length / 2],8:F1} {sorted[(int)(0.9 * (sorted.Length - 1))],8:F1} {sorted[^1],8:F1}"));
            }
        }
    }

    /// <summary>
    /// Waits until every shard has had the same leader for a second: shards that are being handed back to a node that restarted would blur
    /// the figures.
    /// </summary>
    private async Task<int[]> SettledLeadersAsync()
    {
        int[] leaders = [];
        for (int unchanged = 0; unchanged < 10; unchanged++)
        {
            await Task.Delay(100, cancel);
            int[] now = await cluster.LeadersAsync();
            unchanged = now.SequenceEqual(leaders) && !now.Contains(-1) ? unchanged : -1;
            leaders = now;
        }

        return leaders;
    }

    private async Task WriteAsync(string key, CancellationToken enough)
    {
        while (!enough.IsCancellationRequested)
        {
            long start = Stopwatch.GetTimestamp();
            try
            {
                await cluster.Client.PutAsync(key, "load", cancellationToken: enough);
                Interlocked.Increment(ref _acknowledged);
                long took = Stopwatch.GetElapsedTime(start).Ticks;
                long longest;
                while (
                    took > (longest = Volatile.Read(ref _longestGap))
                    && Interlocked.CompareExchange(ref _longestGap, took, longest) != longest
                ) { }

                await Task.Delay(5, enough);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (HengeException)
            {
                Interlocked.Increment(ref _unknown);
            }
        }
    }

    private async Task<double> ProbeAsync(string key, long killed)
    {
        while (true)
        {
            try
            {
                await cluster.Client.PutAsync(key, "probe", cancellationToken: cancel);
                return Stopwatch.GetElapsedTime(killed).TotalMilliseconds;
            }
            catch (HengeException)
            {
                Interlocked.Increment(ref _unknown);
            }
        }
    }

    /// <summary>Takes the elections that nodes have won since it was asked last.</summary>
    private async Task HarvestAsync(List<double> rounds, List<double> withPreVote)
    {
        for (int node = 0; node < Cluster.Nodes; node++)
        {
            Wire.ElectionStatus elections = await cluster.ElectionsAsync(node);
            int fresh = (int)Math.Min((ulong)elections.RoundUs.Count, elections.Won - Math.Min(_seen[node], elections.Won));
            rounds.AddRange(elections.RoundUs.TakeLast(fresh).Select(static us => us / 1000.0));
            withPreVote.AddRange(elections.WithPrevoteUs.TakeLast(fresh).Select(static us => us / 1000.0));
            _seen[node] = elections.Won;
        }
    }

    private static string[] KeysByShard(int shards)
    {
        ShardMap map = new(shards);
        string?[] keys = new string?[shards];
        for (int i = 0; keys.Contains(null); i++)
        {
            string key = string.Create(CultureInfo.InvariantCulture, $"failover:{i}");
            keys[(int)map.ShardOf(System.Text.Encoding.UTF8.GetBytes(key)).Value] ??= key;
        }

        return keys!;
    }
}

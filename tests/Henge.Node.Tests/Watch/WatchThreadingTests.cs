using System.Globalization;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Node.Tests.StateMachine;
using Henge.Node.Watch;

namespace Henge.Node.Tests.Watch;

/// <summary>Workers publish while readers read, on threads: nothing is missed, nothing comes twice, and whoever waits is woken.</summary>
public sealed class WatchThreadingTests
{
    private const int Shards = 2;
    private const int Puts = 3000;

    private sealed class Counting(string name) : IWatchReceiver
    {
        private readonly Dictionary<string, int> _last = [];

        public int Count { get; private set; }

        public string? Problem { get; private set; }

        public void OnEvent(in WatchEventView e)
        {
            string key = MachineHarness.Text(e.Key);
            int value = int.Parse(MachineHarness.Text(e.Value), CultureInfo.InvariantCulture);
            int expected = _last.GetValueOrDefault(key, -1) + 1;
            Problem ??= value == expected ? null : $"{name}: {key} gave {value} where {expected} belongs";
            _last[key] = value;
            Count++;
        }
    }

    [Fact]
    public void Readers_on_threads_miss_nothing_and_are_woken()
    {
        var h = new ShardedHarness(
            Shards,
            new WatchOptions
            {
                RingBytes = 2000,
                SliceBytes = 300,
                HistoryEvents = 200,
                HistorySteps = 500,
            });
        var readers = new List<Thread>();
        var receivers = new List<Counting>();
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        for (int i = 0; i < 5; i++)
        {
            // Three for all keys, two for one key of each writer.
            bool all = i < 3;
            byte[] key = MachineHarness.Bytes($"k{i % Shards}");
            var receiver = new Counting("reader " + i);
            var available = new SemaphoreSlim(0);
            IWatch watch = h.Watches.Open(
                all
                    ? new WatchQuery { Start = new Core.Version(1) }
                    : new WatchQuery
                    {
                        Lower = key,
                        Upper = (byte[])[.. key, (byte)'~'],
                        Start = new Core.Version(1),
                    },
                () => available.Release());
            int wanted = all ? Puts * Shards : Puts;
            receivers.Add(receiver);
            readers.Add(new Thread(() =>
            {
                try
                {
                    while (receiver.Count < wanted && receiver.Problem is null)
                    {
                        while (watch.TryRead(receiver, 7, 500))
                        {
                        }

                        if (receiver.Count < wanted)
                        {
                            available.Wait(stop.Token);
                        }
                    }
                }
                catch (OperationCanceledException)
                {
                    return;
                }
                finally
                {
                    watch.Dispose();
                }
            }));
        }

        Thread[] writers = [.. Enumerable.Range(0, Shards).Select(s => new Thread(() => Write(h.Machines[s], s)))];
        readers.ForEach(static t => t.Start());
        Array.ForEach(writers, static t => t.Start());
        Array.ForEach(writers, static t => t.Join());
        readers.ForEach(static t => t.Join());
        Assert.All(receivers, static r => Assert.Null(r.Problem));
        Assert.Equal([Puts * Shards, Puts * Shards, Puts * Shards, Puts, Puts], receivers.Select(static r => r.Count));
        Assert.All(h.Machines, static m => Assert.Equal(0, ((WatchHub)m.Feed).Readers));
        Assert.Equal((0, 0), (h.Watches.Count, h.Watches.HistoryReaders));
    }

    private static void Write(ShardStateMachine machine, int writer)
    {
        var random = new Random(writer);
        var next = new int[5];
        ulong version = 1;
        for (int written = 0; written < Puts;)
        {
            var entry = new EntryBuilder();
            for (int n = random.Next(1, 10); n > 0 && written < Puts; n--, written++)
            {
                int key = random.Next(next.Length);
                entry.Add(MachineHarness.Put($"k{writer}:{key}", (next[key]++).ToString(CultureInfo.InvariantCulture)));
            }

            version += 20;
            machine.ApplyEntry(machine.AppliedIndex.Next, entry.ToArray(new Core.Version(version)), null);
            machine.CommitBatch();
        }
    }
}

using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Tests.StateMachine;
using Henge.Node.Watch;

namespace Henge.Node.Tests.Watch;

public sealed class WaitIndexTests
{
    private static byte[] RandomKey(Random random)
    {
        var key = new byte[random.Next(0, 5)];
        for (int i = 0; i < key.Length; i++)
        {
            key[i] = random.Next(4) switch { 0 => 0xFF, 1 => 0, _ => (byte)('a' + random.Next(3)) };
        }

        return key;
    }

    [Fact]
    public void Who_waits_for_a_range_is_always_found_by_its_keys()
    {
        int found = 0, spared = 0;
        for (int seed = 0; seed < 2000; seed++)
        {
            var random = new Random(seed);
            var index = new WaitIndex();
            var cursors = new List<(ShardCursor Cursor, KeyRange Range)>();
            for (int i = random.Next(1, 40); i > 0; i--)
            {
                byte[] lower = RandomKey(random);
                byte[] upper = random.Next(4) switch
                {
                    0 => [.. lower, 0],
                    1 => [],
                    2 when lower.Length > 0 && lower[^1] != 0xFF => [.. lower[..^1], (byte)(lower[^1] + 1)],
                    _ => RandomKey(random),
                };
                if (upper.Length > 0 && lower.AsSpan().SequenceCompareTo(upper) >= 0)
                {
                    continue;
                }

                var range = KeyRange.Between(lower, upper);
                var cursor = new ShardCursor(null!, default, range, random.Next(10) == 0, static () => { });
                index.Add(cursor);
                cursors.Add((cursor, range));
            }

            for (int i = random.Next(0, cursors.Count); i > 0; i--)
            {
                int at = random.Next(cursors.Count);
                index.Remove(cursors[at].Cursor);
                Assert.Null(cursors[at].Cursor.WaitList);
                cursors.RemoveAt(at);
            }

            for (int round = 0; round < 5; round++)
            {
                byte[] key = RandomKey(random);
                var taken = new List<ShardCursor>();
                index.TakeMatching(key, taken);
                index.TakeEvents(taken);
                foreach ((ShardCursor cursor, KeyRange range) in cursors)
                {
                    bool isTaken = taken.Contains(cursor);
                    Assert.Equal(isTaken, cursor.WaitList is null);
                    Assert.True(isTaken || cursor.WaitKind == WaitKind.Publication || !range.Contains(key), $"seed {seed}: not found");
                    found += isTaken ? 1 : 0;
                    spared += isTaken ? 0 : 1;
                }

                taken.ForEach(index.Add);
            }

            var everyone = new List<ShardCursor>();
            index.TakePublications(everyone);
            Assert.Equal(cursors.Count(static c => c.Cursor.WaitKind == WaitKind.Publication), everyone.Count);
        }

        Assert.True(found > 1000 && spared > 1000, $"{found} found, {spared} spared");
    }

    [Fact]
    public void A_put_wakes_the_watches_of_its_key_and_prefix_only_and_those_spared_miss_nothing()
    {
        var h = new ShardedHarness(2, new WatchOptions { RingBytes = 600 });
        var signals = new int[60];
        var watches = new IWatch[60];
        for (int i = 0; i < 60; i++)
        {
            int n = i;
            byte[] lower = MachineHarness.Bytes(i < 40 ? $"key{i}" : $"p{i}:");
            watches[i] = h.Watches.Open(
                new WatchQuery { Lower = lower, Upper = i < 40 ? (byte[])[.. lower, 0] : [.. lower[..^1], (byte)(':' + 1)] },
                () => signals[n]++);
            var nothing = new WatchRecorder();
            Assert.False(watches[i].TryRead(nothing, 10, 1000));
        }

        Array.Clear(signals);
        for (int i = 0; i < 100; i++)
        {
            h.Put("noise" + i, "x");
        }

        Assert.All(signals, static s => Assert.Equal(0, s));
        h.Put("key7", "seven");
        h.Put("p50:a", "fifty");
        Assert.Equal((1, 1, 2), (signals[7], signals[50], signals.Sum()));
        for (int i = 0; i < 60; i++)
        {
            // None has fallen behind the ring meanwhile: who waits moves along.
            using IWatch resumed = h.Watches.Open(
                new WatchQuery
                {
                    Resume = watches[i].ResumeToken,
                    Lower = MachineHarness.Bytes(i < 40 ? $"key{i}" : $"p{i}:"),
                    Upper = MachineHarness.Bytes(i < 40 ? $"key{i}\0" : $"p{i};"),
                },
                () => { });
            foreach (IWatch watch in new[] { resumed, watches[i] })
            {
                var recorder = new WatchRecorder();
                while (watch.TryRead(recorder, 10, 1000))
                {
                }

                Assert.Equal(i is 7 or 50 ? 1 : 0, recorder.Events.Count);
            }

            watches[i].Dispose();
        }
    }
}

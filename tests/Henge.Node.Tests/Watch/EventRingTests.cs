using Henge.Node.Api;
using Henge.Node.Watch;

namespace Henge.Node.Tests.Watch;

public sealed class EventRingTests
{
    [Fact]
    public void The_ring_holds_the_latest_whole_versions_like_a_queue_does()
    {
        for (int seed = 0; seed < 60; seed++)
        {
            var random = new Random(seed);
            int capacity = random.Next(256, 1500);
            var ring = new EventRing(capacity);
            ring.Clear(new Core.Version(1));
            var all = new List<(ulong Version, string Text)>();
            ulong version = 1;
            for (int i = 0; i < 300; i++)
            {
                version += (ulong)random.Next(0, 3);
                byte[] key = new byte[random.Next(0, random.Next(10) == 0 ? capacity : 40)];
                byte[] value = new byte[random.Next(0, 60)];
                random.NextBytes(key);
                random.NextBytes(value);
                ring.Add(WatchReason.Put, new Core.Version(version), key, value, i, false);
                all.Add((version, Convert.ToHexString(key) + Convert.ToHexString(value) + i));

                var found = new List<(ulong, string)>();
                long position = ring.Tail;
                long bytes = 0;
                while (ring.TryRead(ref position, out ReadOnlySpan<byte> record))
                {
                    bytes += record.Length;
                    found.Add(
                        (
                            EventRecord.Version(record).Value,
                            Convert.ToHexString(EventRecord.Key(record))
                                + Convert.ToHexString(EventRecord.Value(record))
                                + EventRecord.ExpiresAtMs(record)));
                }

                Assert.True(all.Where(e => e.Version >= ring.From.Value).SequenceEqual(found), $"seed {seed}, event {i}");
                Assert.InRange(bytes, 0, capacity);
            }

            Assert.True(ring.From.Value > 1, $"seed {seed}");
        }
    }
}

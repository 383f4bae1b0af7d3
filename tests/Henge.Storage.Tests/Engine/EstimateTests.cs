using System.Text;
using Henge.Core;
using Henge.Storage;
using Henge.Storage.Lsm;
using Henge.Testing.Files;

namespace Henge.Storage.Tests;

/// <summary>How much of a keyspace there is in tables, about.</summary>
public sealed class EstimateTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void The_estimate_is_that_of_the_bytes_by_whole_blocks_whatever_tables_there_are(int seed)
    {
        var random = new Random(seed);
        var files = new SimulatedFileSystem();
        using LsmEngine engine = LsmEngine.Open(TinyOptions.Create(files) with { WriteAheadLog = false });
        uint[] keyspaces = [0, 1, 2, 7, 0x8000_0001, uint.MaxValue];
        var bytes = keyspaces.ToDictionary(static k => k, static _ => 0L);
        var batch = new WriteBatch();
        for (ulong i = 1; i <= 3_000; i++)
        {
            // Keyspace 7 stays empty, and the others are not alike.
            uint keyspace = keyspaces[Math.Min(random.Next(6), random.Next(6))];
            byte[] key = Encoding.UTF8.GetBytes($"key{i}");
            byte[] value = new byte[random.Next(40)];
            if (keyspace == 7)
            {
                continue;
            }

            batch.Clear();
            batch.Put(keyspace, key, new Core.Version(i), value);
            engine.Apply(batch, sync: false);
            bytes[keyspace] += key.Length + value.Length;
        }

        engine.Flush();
        int tables = engine.GetStatistics().Levels.Sum(static l => l.Tables);
        Assert.True(tables > 3);
        Assert.All(keyspaces, keyspace =>
        {
            // A block of 256 bytes at each end in each table; and with each key 4 bytes of keyspace and a trailer of 9.
            long estimate = engine.EstimateTableBytes(keyspace), overhead = 14L * bytes[keyspace] / 8;
            Assert.InRange(estimate, bytes[keyspace] * 8 / 10, bytes[keyspace] + overhead + (tables * 3 * 256));
        });
        Assert.InRange(engine.EstimateTableBytes(7), 0, tables * 300);
    }
}

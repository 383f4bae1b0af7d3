using System.Text;
using Henge.Core;
using Henge.Node.Context;
using Henge.Node.Opening;
using Henge.Node.StateMachine;
using Henge.Storage;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Settings;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Opening;

/// <summary>
/// A conversion is done or not done, whenever it is broken off. Both engines are the LSM engine here, under two names.
/// </summary>
public sealed class EngineConversionTests
{
    private const int Shards = 2;
    private static readonly ShardId First = new(0);

    [Fact]
    public void A_crash_at_any_moment_leaves_the_node_as_it_was_or_converted()
    {
        SimulatedFileSystem before = Prepare();
        string expected = Content(before, "engine");
        long operations = Count(before.CrashClone(CrashMode.KeepAll, 0));
        (int asBefore, int converted) = (0, 0);
        for (long at = 1; at <= operations; at++)
        {
            SimulatedFileSystem files = before.CrashClone(CrashMode.KeepAll, 0);
            files.CrashAt = files.OperationCount + at;

            // At the very end, where locks are given back, nobody hears of it.
            _ = Record.Exception(() => Convert(files));
            Assert.True(files.IsDown, $"{at} of {operations}, {files.OperationCount}");
            files.Crash(CrashMode.LoseRandomPart, (int)at);
            (string engine, string directory) = EngineFile.Read(files, "/data")!.Value;
            Assert.Equal(expected, Content(files, directory));
            (asBefore, converted) = engine == "lsm" ? (asBefore + 1, converted) : (asBefore, converted + 1);

            // And it can be said again.
            if (engine == "lsm")
            {
                ConversionResult again = Convert(files);
                Assert.Equal(expected, Content(files, Path.GetFileName(again.NewDirectory)));
            }
        }

        Assert.True(asBefore > 10, $"{asBefore} of {operations}");
        Assert.True(converted > 0, "no crash came after the step that counts");
    }

    [Fact]
    public void The_floor_and_the_positions_of_logs_go_along()
    {
        SimulatedFileSystem files = Prepare();
        ConversionResult result = Convert(files);
        Assert.Equal(("other", "engine-other-1"), EngineFile.Read(files, "/data"));
        Assert.Equal("/data/engine", result.OldDirectory);
        using IStorageEngine copy = Open(files, "/data/engine-other-1");
        Assert.Equal(77UL, copy.GetDurablePosition(SystemKeys.Stream(First)));
        Assert.Equal(78UL, copy.GetDurablePosition(SystemKeys.Stream(ShardId.Catalog)));
        Assert.Equal(new Core.Version(5), copy.HistoryFloor);
    }

    [Fact]
    public void What_makes_no_sense_is_refused_and_nothing_is_changed()
    {
        SimulatedFileSystem files = Prepare();
        Assert.Equal(ErrorCode.Misconfigured, Refused(files, "other", "lsm"));
        Assert.Equal(ErrorCode.InvalidArgument, Refused(files, "lsm", "lsm"));
        Assert.Equal(ErrorCode.InvalidArgument, Refused(files, "lsm", "memory"));
        Assert.Equal(ErrorCode.InvalidArgument, Refused(new SimulatedFileSystem(), "lsm", "other"));
        using (files.Lock("/data/LOCK"))
        {
            Assert.Equal(ErrorCode.Locked, Refused(files, "lsm", "other"));
        }

        Assert.Equal(("lsm", "engine"), EngineFile.Read(files, "/data"));
        Assert.DoesNotContain(files.List("/data"), static n => n.StartsWith("engine-", StringComparison.Ordinal));
    }

    [Fact]
    public void Damage_ends_it_and_the_node_is_as_it_was()
    {
        SimulatedFileSystem files = Prepare();
        string table = files.List("/data/engine").First(static n => n.EndsWith(".sst", StringComparison.Ordinal));
        files.FlipBit("/data/engine/" + table, 40, 3);
        Assert.Equal(ErrorCode.Corruption, Refused(files, "lsm", "other"));
        Assert.Equal(("lsm", "engine"), EngineFile.Read(files, "/data"));
    }

    private static ErrorCode Refused(SimulatedFileSystem files, string from, string to) => Assert.Throws<HengeException>(
        () => EngineConversion.Run(files, "/data", from, to, (_, directory) => Open(files, directory))).Code;

    private static ConversionResult Convert(SimulatedFileSystem files) =>
        EngineConversion.Run(files, "/data", "lsm", "other", (_, directory) => Open(files, directory));

    private static long Count(SimulatedFileSystem files)
    {
        long begun = files.OperationCount;
        Convert(files);
        return files.OperationCount - begun;
    }

    private static LsmEngine Open(SimulatedFileSystem files, string directory) => LsmEngine.Open(new LsmOptions
    {
        Directory = directory,
        FileSystem = files,
        WriteAheadLog = false,
        MemoryBytes = 1 << 16,
        Scheduler = new InlineScheduler(),
    });

    private static SimulatedFileSystem Prepare()
    {
        var files = new SimulatedFileSystem();
        var options = new NodeOptions { Name = "n1", DataDirectory = "/data", Shards = Shards };
        ulong next = 1;
        NodeIdentity.Open(options, NodeIdentity.MembersOf(options), files, () => next++, out _);
        EngineFile.Claim(files, "/data", "lsm");
        using LsmEngine engine = Open(files, "/data/engine");
        var batch = new WriteBatch();
        for (uint i = 1; i <= 40; i++)
        {
            uint keyspace = i % 2 == 0 ? SystemKeys.UserKeyspace(First) : SystemKeys.SystemKeyspace(ShardId.Catalog);
            batch.Put(keyspace, Encoding.ASCII.GetBytes($"key{i % 7}"), new Core.Version(i), Encoding.ASCII.GetBytes($"value{i}"));
        }

        batch.Delete(SystemKeys.UserKeyspace(First), "key1"u8, new Core.Version(50));
        batch.Put(SystemKeys.UserKeyspace(First), "brief"u8, new Core.Version(51), "x"u8, expiresAtMs: 1_000_000);
        batch.SetPosition(SystemKeys.Stream(First), 77);
        batch.SetPosition(SystemKeys.Stream(ShardId.Catalog), 78);
        engine.SetHistoryFloor(new Core.Version(5));
        engine.Apply(batch);
        engine.Flush();
        return files;
    }

    private static string Content(SimulatedFileSystem files, string directory)
    {
        using IStorageEngine engine = Open(files, "/data/" + directory);
        var text = new StringBuilder();
        foreach (uint keyspace in (uint[])[SystemKeys.UserKeyspace(First), SystemKeys.SystemKeyspace(ShardId.Catalog)])
        {
            using EngineIterator entries = engine.CreateIterator(new IteratorOptions
            {
                Keyspace = keyspace,
                Point = new ReadPoint(Core.Version.Max, 0),
                AllVersions = (keyspace & 0x8000_0000) == 0,
            });
            for (entries.SeekToFirst(); entries.Valid; entries.Next())
            {
                text.Append($"{Encoding.ASCII.GetString(entries.Key)}@{entries.Version.Value} {entries.Kind} ")
                    .Append($"{Encoding.ASCII.GetString(entries.Value)} {entries.ExpiresAtMs}\n");
            }
        }

        Assert.NotEqual(0, text.Length);
        return text.Append(engine.GetDurablePosition(SystemKeys.Stream(First))).ToString();
    }
}

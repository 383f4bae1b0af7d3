using System.Text;
using Henge.Core;
using Henge.Storage.Bitcask;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Inspection;
using Henge.Storage.Lsm.Background;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Bitcask;

/// <summary>Every byte of small files rots, one at a time: reported, and nothing wrong is ever read.</summary>
public sealed class BitcaskDamageTests : BitcaskTestBase
{
    [Fact]
    public void A_flipped_bit_in_any_byte_of_a_sealed_segment_is_reported_where_it_matters()
    {
        Dictionary<string, string> contents = Build();
        string name = SegmentNames[0];
        byte[] good = Files.ReadAllBytes("/db/" + name);
        int met = 0;
        foreach (bool hint in (bool[])[true, false])
        {
            for (int at = 0; at < good.Length; at += at is > 36 and < 4096 ? 97 : 1)
            {
                SimulatedFileSystem files = Files.CrashClone(CrashMode.KeepAll, 0);
                files.FlipBit("/db/" + name, at, at % 8);
                if (!hint)
                {
                    foreach (string other in HintNames)
                    {
                        files.Delete("/db/" + other);
                    }
                }

                bool isPadding = at is >= 36 and < 4096;
                VerifyReport report = StorageVerifier.Verify(files, "/db");
                bool isNoticed = report.Problems.Any(problem => problem.Contains(name, StringComparison.Ordinal));
                Assert.True(isPadding || isNoticed, $"Byte {at} was not noticed.");
                met += Read(files, contents, $"byte {at} of {name}", isPadding);
            }
        }

        Assert.True(met > good.Length - 4096, $"Only {met} flips were met by reads.");
    }

    [Fact]
    public void A_flipped_bit_in_any_byte_of_a_hint_changes_nothing_that_is_read()
    {
        Dictionary<string, string> contents = Build();
        string name = HintNames[0];
        int length = Files.ReadAllBytes("/db/" + name).Length;
        for (int at = 0; at < length; at++)
        {
            SimulatedFileSystem files = Files.CrashClone(CrashMode.KeepAll, 0);
            files.FlipBit("/db/" + name, at, at % 8);
            VerifyReport report = StorageVerifier.Verify(files, "/db");
            Assert.Empty(report.Problems);
            Assert.Contains(report.Notes, note => note.Contains(name, StringComparison.Ordinal));
            Assert.Equal(0, Read(files, contents, $"byte {at} of {name}", mayBeFine: true));
            Assert.Empty(StorageVerifier.Verify(files, "/db").Notes);
        }
    }

    [Fact]
    public void A_hint_cut_anywhere_changes_nothing_that_is_read()
    {
        Dictionary<string, string> contents = Build();
        string name = HintNames[0];
        byte[] good = Files.ReadAllBytes("/db/" + name);
        for (int length = 0; length < good.Length; length++)
        {
            SimulatedFileSystem files = Files.CrashClone(CrashMode.KeepAll, 0);
            files.WriteAllBytes("/db/" + name, good.AsSpan(0, length));
            Assert.Equal(0, Read(files, contents, $"{name} cut to {length}", mayBeFine: true));
        }
    }

    [Fact]
    public void A_flipped_bit_in_any_byte_of_the_manifest_is_refused()
    {
        Build();
        int length = Files.ReadAllBytes("/db/" + BitcaskFiles.Manifest).Length;
        for (int at = 0; at < length; at++)
        {
            SimulatedFileSystem files = Files.CrashClone(CrashMode.KeepAll, 0);
            files.FlipBit("/db/" + BitcaskFiles.Manifest, at, at % 8);
            HengeException error = Assert.Throws<HengeException>(() =>
                BitcaskEngine.Open(TinyBitcask.Create(files, new InlineScheduler())));
            Assert.Equal(ErrorCode.Corruption, error.Code);
            Assert.Contains(BitcaskFiles.Manifest, error.Message, StringComparison.Ordinal);
            Assert.NotEmpty(StorageVerifier.Verify(files, "/db").Problems);
        }
    }

    [Fact]
    public void Damage_in_the_segment_being_written_is_told_from_a_torn_tail_where_a_later_sync_proves_it()
    {
        BitcaskEngine engine = Open();
        for (int i = 0; i < 5; i++)
        {
            Put(engine, $"k{i}", (ulong)i + 1, "value");
        }

        Files.Crash(CrashMode.KeepAll, 0);
        string name = SegmentNames[^1];
        int length = Files.ReadAllBytes("/db/" + name).Length;
        int refused = 0;
        for (int at = 4096; at < length; at++)
        {
            SimulatedFileSystem files = Files.CrashClone(CrashMode.KeepAll, 0);
            files.FlipBit("/db/" + name, at, at % 8);
            try
            {
                using var again = BitcaskEngine.Open(TinyBitcask.Create(files, new InlineScheduler()));

                // The records of the last sync: nothing that came later speaks of them.
                Assert.Equal(["k0=value", "k1=value", "k2=value", "k3=value"], Scan(again).Take(4));
            }
            catch (HengeException error)
            {
                Assert.Equal(ErrorCode.Corruption, error.Code);
                Assert.Contains(name, error.Message, StringComparison.Ordinal);
                refused++;
            }
        }

        Assert.InRange(refused, (length - 4096) / 2, length - 4096);
        GC.KeepAlive(engine);
    }

    [Fact]
    public void Damage_of_one_value_is_told_by_keyspace_and_the_merge_leaves_its_segment_alone_until_a_drop()
    {
        using (BitcaskEngine engine = Open())
        {
            for (int i = 0; i < 10; i++)
            {
                Put(engine, $"k{i}", (ulong)i + 1, $"good{i}");
                Put(engine, $"k{i}", (ulong)i + 1, $"other{i}", keyspace: 2);
            }

            engine.Writer.SealActive();
            Scheduler.RunAll();
        }

        byte[] bytes = Files.ReadAllBytes("/db/" + SegmentNames[0]);
        int at = bytes.AsSpan().IndexOf("good7"u8);
        Files.FlipBit("/db/" + SegmentNames[0], at, 0);
        using BitcaskEngine again = Open();
        again.DeclareKeyspaces([Keyspace, 2]);
        for (int i = 0; i < 10; i++)
        {
            Assert.Equal($"other{i}", Get(again, $"k{i}", keyspace: 2));
            if (i != 7)
            {
                Assert.Equal($"good{i}", Get(again, $"k{i}"));
            }
        }

        Assert.Empty(Damage(again));
        Assert.Equal(ErrorCode.Corruption, Assert.Throws<HengeException>(() => Get(again, "k7")).Code);
        Assert.Equal([Keyspace], Damage(again));

        // The other keyspace's entries make most of the segment dead.
        for (int i = 0; i < 10; i++)
        {
            Put(again, $"k{i}", 100, "new", keyspace: 2);
        }

        again.SetHistoryFloor(new Core.Version(1000));
        again.Writer.SealActive();
        Scheduler.RunAll();
        Assert.Throws<HengeException>(() => Get(again, "k7"));
        Assert.Equal("new", Get(again, "k7", keyspace: 2));

        // The owner replaces what is lost.
        again.DropRange(Keyspace, default, default);
        Put(again, "k7", 50, "restored");
        Scheduler.RunAll();
        Assert.Equal("restored", Get(again, "k7"));
        Assert.Empty(Damage(again));
        again.Compact();
        Scheduler.RunAll();
        again.Dispose();
        Assert.Empty(StorageVerifier.Verify(Files, "/db").Problems);
    }

    [Fact]
    public void A_segment_that_cannot_be_opened_is_served_around_for_owners_that_replace_what_is_lost()
    {
        Dictionary<string, string> contents = Build();
        string name = SegmentNames[0];
        Files.Delete("/db/" + name);
        HengeException error = Assert.Throws<HengeException>(() => Open());
        Assert.Equal(ErrorCode.Corruption, error.Code);
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
        using var engine = BitcaskEngine.Open(Options with { OpenDamagedSegments = true });
        engine.DeclareKeyspaces([Keyspace]);
        Assert.Equal([Keyspace], Damage(engine));
        int lost = 0;
        foreach ((string key, string value) in contents)
        {
            try
            {
                Assert.Equal(value, Get(engine, key));
            }
            catch (HengeException found) when (found.Code == ErrorCode.Corruption)
            {
                lost++;
            }
        }

        Assert.InRange(lost, 1, contents.Count - 1);
        engine.DropRange(Keyspace, default, default);
        Scheduler.RunAll();
        foreach ((string key, string value) in contents)
        {
            Put(engine, key, 1000, value);
        }

        Scheduler.RunAll();
        engine.Compact();
        Scheduler.RunAll();
        engine.Dispose();
        using BitcaskEngine again = Open();
        Assert.Equal(contents.Count, Scan(again).Count);
    }

    [Fact]
    public void Without_its_hint_a_segment_that_cannot_be_opened_is_always_refused()
    {
        Build();
        Files.Delete("/db/" + SegmentNames[0]);
        Files.Delete("/db/" + HintNames[0]);
        Assert.Equal(
            ErrorCode.Corruption,
            Assert.Throws<HengeException>(() => BitcaskEngine.Open(Options with { OpenDamagedSegments = true })).Code);
    }

    // Two sealed segments with hints.
    private Dictionary<string, string> Build()
    {
        var contents = new Dictionary<string, string>();
        using BitcaskEngine engine = Open();
        for (int i = 0; i < 8; i++)
        {
            contents[$"k{i}"] = $"value{i}";
            Put(engine, $"k{i}", (ulong)i + 1, $"value{i}");
            if (i == 4)
            {
                engine.Writer.SealActive();
            }
        }

        engine.Writer.SealActive();
        Scheduler.RunAll();
        Assert.Equal(2, HintNames.Length);
        return contents;
    }

    // 1 when damage was met.
    private static int Read(SimulatedFileSystem files, Dictionary<string, string> contents, string what, bool mayBeFine)
    {
        using var scheduler = new InlineScheduler();
        int met = 0;
        try
        {
            using var engine = BitcaskEngine.Open(TinyBitcask.Create(files, scheduler));
            foreach ((string key, string value) in contents)
            {
                try
                {
                    Assert.True(Get(engine, key) == value, $"{key} is wrong after a flip in {what}.");
                }
                catch (HengeException error) when (error.Code == ErrorCode.Corruption)
                {
                    met = 1;
                }
            }

            try
            {
                Assert.Equal(contents.Select(static pair => $"{pair.Key}={pair.Value}").Order(StringComparer.Ordinal), Scan(engine));
            }
            catch (HengeException error) when (error.Code == ErrorCode.Corruption)
            {
                met = 1;
            }

            scheduler.RunAll();
        }
        catch (HengeException error) when (error.Code is ErrorCode.Corruption or ErrorCode.UnsupportedFormat)
        {
            met = 1;
        }

        // With a hint, what lies between the entries (lengths, marks) is not read at all.
        Assert.True(met == 0 || !mayBeFine, $"A flip in {what} was met though it does not matter.");
        return met;
    }

    private static List<uint> Damage(IStorageEngine engine)
    {
        var found = new List<uint>();
        engine.TakeDamage((keyspace, _) => found.Add(keyspace));
        return found;
    }
}

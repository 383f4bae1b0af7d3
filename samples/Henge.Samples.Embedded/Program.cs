// Henge's storage engine by itself, inside a program: no server, no cluster. Run it with
//   dotnet run -c Release --project samples/Henge.Samples.Embedded [directory]
using System.Text;
using Henge.Core;
using Henge.Storage;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Settings;

const uint Fruits = 1; // A keyspace: one engine holds many, and each is an ordered map of its own.
string directory = args.Length > 0 ? args[0] : Path.Combine(Path.GetTempPath(), "henge-embedded-sample");

// Open: makes the directory, or recovers what an earlier run (or crash) left there.
using LsmEngine engine = LsmEngine.Open(new LsmOptions { Directory = directory, MemoryBytes = 64 << 20 });

// Write: a batch takes effect as a whole, and is on the disk when Write returns. The engine gives it its version.
var batch = new WriteBatch();
batch.Put(Fruits, "apple"u8, version: default, "red"u8);
batch.Put(Fruits, "banana"u8, version: default, "yellow"u8);
batch.Put(Fruits, "cherry"u8, version: default, "dark red"u8);
Henge.Core.Version first = engine.Write(batch);
Console.WriteLine($"wrote three fruits at version {first}, {first.ToTime():HH:mm:ss.fff}");

// Get: the value points into the engine's own memory, without a copy, until it is disposed of.
Console.WriteLine($"apple is {Get("apple")}");

batch.Clear();
batch.Put(Fruits, "apple"u8, version: default, "green"u8);
batch.Delete(Fruits, "banana"u8, version: default);
engine.Write(batch);

// Time travel: every version is there until the history floor passes it.
Console.WriteLine($"apple is {Get("apple")} now, and was {Get("apple", first)} at version {first}");

// Snapshot: a view that stays as it is, whatever is written meanwhile.
using (IEngineSnapshot snapshot = engine.CreateSnapshot())
{
    batch.Clear();
    batch.Put(Fruits, "damson"u8, version: default, "blue"u8);
    engine.Write(batch);
    Console.WriteLine($"in the snapshot: {Scan(snapshot.CreateIterator(All()))}");
}

// Scan: in key order, both ways, within bounds.
Console.WriteLine($"now:             {Scan(engine.CreateIterator(All()))}");

// History: all versions of all keys, newest first.
using (EngineIterator history = engine.CreateIterator(All() with { AllVersions = true }))
{
    for (history.SeekToFirst(); history.Valid; history.Next())
    {
        Console.WriteLine(
            $"  {Encoding.UTF8.GetString(history.Key),-8} {history.Version.ToTime():HH:mm:ss.fff} {history.Kind,-7} "
                + $"{Encoding.UTF8.GetString(history.Value)}");
    }
}

// Give up the history from before now, and let compaction take it away.
engine.SetHistoryFloor(Henge.Core.Version.FromTime(DateTimeOffset.UtcNow));
engine.Compact();
Console.WriteLine($"entries after compaction: {engine.GetStatistics().Entries}");

string Get(string key, Henge.Core.Version? at = null)
{
    if (!engine.TryGet(Fruits, Encoding.UTF8.GetBytes(key), Point(at), out PinnedValue value))
    {
        return "not there";
    }

    using (value)
    {
        return Encoding.UTF8.GetString(value.Span);
    }
}

// Where a read stands: at a version, or at the newest, with the clock saying what has expired.
static ReadPoint Point(Henge.Core.Version? at) =>
    at is { } version
        ? ReadPoint.AsOf(version)
        : new ReadPoint(Henge.Core.Version.Max, Henge.Core.Version.FromTime(DateTimeOffset.UtcNow).Milliseconds);

static IteratorOptions All() => new() { Keyspace = Fruits, Point = Point(null), FillCache = true };

static string Scan(EngineIterator iterator)
{
    using (iterator)
    {
        var found = new List<string>();
        for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
        {
            found.Add($"{Encoding.UTF8.GetString(iterator.Key)}={Encoding.UTF8.GetString(iterator.Value)}");
        }

        return string.Join(", ", found);
    }
}

using System.Text;
using Henge.Storage.Bitcask;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Bitcask.Settings;
using Henge.Storage.Lsm.Background;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Bitcask;

/// <summary>What tests of the bitcask engine share: a small engine on a simulated disk, and short ways to write and read.</summary>
public abstract class BitcaskTestBase : IDisposable
{
    private protected const uint Keyspace = 1;
    private protected const uint SystemKeyspace = 0x8000_0001;

    private protected SimulatedFileSystem Files { get; } = new();

    private protected InlineScheduler Scheduler { get; } = new();

    private protected BitcaskOptions Options => TinyBitcask.Create(Files, Scheduler);

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected virtual void Dispose(bool disposing) => Scheduler.Dispose();

    private protected BitcaskEngine Open() => BitcaskEngine.Open(Options);

    private protected string[] SegmentNames => [.. Files.List("/db").Where(static name => BitcaskFiles.IsSegment(name, out _))];

    private protected string[] HintNames => [.. Files.List("/db").Where(static name => BitcaskFiles.IsHint(name, out _))];

    private protected static void Put(
        IStorageEngine engine,
        string key,
        ulong version,
        string value,
        uint keyspace = Keyspace,
        bool sync = true,
        long expiresAtMs = 0)
    {
        var batch = new WriteBatch();
        batch.Put(keyspace, Encoding.UTF8.GetBytes(key), new Core.Version(version), Encoding.UTF8.GetBytes(value), expiresAtMs);
        engine.Apply(batch, sync);
    }

    private protected static void Delete(IStorageEngine engine, string key, ulong version, uint keyspace = Keyspace)
    {
        var batch = new WriteBatch();
        batch.Delete(keyspace, Encoding.UTF8.GetBytes(key), new Core.Version(version));
        engine.Apply(batch);
    }

    private protected static string? Get(
        IStorageEngine engine,
        string key,
        ulong at = Core.Version.MaxValue,
        uint keyspace = Keyspace) => Read(engine.TryGet, key, at, keyspace);

    private protected static string? Get(
        IEngineSnapshot snapshot,
        string key,
        ulong at = Core.Version.MaxValue,
        uint keyspace = Keyspace) => Read(snapshot.TryGet, key, at, keyspace);

    private protected static List<string> Scan(IStorageEngine engine, uint keyspace = Keyspace)
    {
        using EngineIterator iterator = engine.CreateIterator(All(keyspace));
        var found = new List<string>();
        for (iterator.SeekToFirst(); iterator.Valid; iterator.Next())
        {
            found.Add($"{Encoding.UTF8.GetString(iterator.Key)}={Encoding.UTF8.GetString(iterator.Value)}");
        }

        return found;
    }

    private protected static IteratorOptions All(uint keyspace = Keyspace) =>
        new() { Keyspace = keyspace, Point = new ReadPoint(Core.Version.Max, 0) };

    private delegate bool Getter(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value);

    private static string? Read(Getter get, string key, ulong at, uint keyspace)
    {
        if (!get(keyspace, Encoding.UTF8.GetBytes(key), new ReadPoint(new Core.Version(at), 0), out PinnedValue value))
        {
            return null;
        }

        using (value)
        {
            return Encoding.UTF8.GetString(value.Span);
        }
    }
}

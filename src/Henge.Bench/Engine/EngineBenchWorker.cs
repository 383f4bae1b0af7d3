using System.Diagnostics;
using Henge.Bench.Load;
using Henge.Core;
using Henge.Storage;
using Henge.Storage.Lsm;

namespace Henge.Bench.Engine;

/// <summary>One thread of a workload of <see cref="EngineBench"/>.</summary>
/// <param name="options">What the run does.</param>
/// <param name="values">What values are cut from: at least 1 MiB and one value.</param>
/// <param name="engine">The engine.</param>
/// <param name="index">The thread's number; each writes into a keyspace of its own where the engine does not give versions.</param>
/// <param name="seed">Of what it draws.</param>
/// <param name="name">The workload.</param>
/// <param name="isWriter">It writes beside the others, which read.</param>
internal sealed class EngineBenchWorker(
    EngineBenchOptions options, byte[] values, IStorageEngine engine, int index, int seed, string name, bool isWriter)
{
    private const uint Keyspace = EngineBench.Keyspace;
    private const uint LargeKeyspace = 1000;
    private const uint ChurnKeyspace = 1001;
    private const uint HistoryKeyspace = 1002;
    private const int LargeBytes = 64 << 10;
    private const int LargeFraction = 256;
    private const int HistoryVersions = 10;

    // Above whatever floor the workloads before have set.
    private const ulong FirstChurnVersion = 1UL << 51;
    private const ulong FirstHistoryVersion = 1UL << 52;
    private readonly byte[] _key = new byte[options.KeyBytes];
    private readonly WriteBatch _batch = new(options.ValueBytes + options.KeyBytes + 64);
    private readonly LsmEngine? _lsm = engine as LsmEngine;

    // As in db_bench, each thread of each workload draws from a seed of its own: reads must not repeat the very order of the writes
    // before them.
    private ulong _random = (ulong)seed * 0xD1342543DE82EF95 + 1;
    private ulong _version;
    private volatile bool _stop;

    public LatencyHistogram Latencies { get; } = new();

    public long Operations { get; private set; }

    public long Found { get; private set; }

    public Exception? Error { get; private set; }

    public void Stop() => _stop = true;

    public void Run()
    {
        try
        {
            long writes = options.Writes < 0 ? options.Num : options.Writes;
            long reads = options.Reads < 0 ? options.Num : options.Reads;
            switch (name)
            {
                case "fillseq":
                    Write(writes, sequential: true, options.Sync);
                    break;
                case "fillrandom" or "overwrite":
                    Write(writes, sequential: false, options.Sync);
                    break;
                case "fillsync":
                    Write(options.Writes < 0 ? Math.Max(1, options.Num / 1000) : writes, sequential: false, sync: true);
                    break;
                case "readwhilewriting" when isWriter:
                    Write(long.MaxValue, sequential: false, options.Sync);
                    break;
                case "readrandom" or "readwhilewriting":
                    Read(reads, missing: false);
                    break;
                case "readmissing":
                    Read(reads, missing: true);
                    break;
                case "seekrandom":
                    Seek(reads);
                    break;
                case "readseq":
                    ReadSequentially(reads);
                    break;
                case "filllarge":
                    WriteLarge(Math.Max(1, options.Num / LargeFraction));
                    break;
                case "ttlchurn":
                    Churn(writes);
                    break;
                case "fillhistory":
                    WriteHistory();
                    break;
                case "readhistory":
                    ReadHistory(reads);
                    break;
                default:
                    throw new HengeException(ErrorCode.InvalidArgument, $"There is no workload '{name}'.");
            }
        }
        catch (Exception error)
        {
            Error = error;
        }
    }

    private void Write(long count, bool sequential, bool sync)
    {
        long last = Stopwatch.GetTimestamp();
        for (long i = 0; i < count && !_stop; i++)
        {
            SetKey(sequential ? i : NextKey());
            ReadOnlySpan<byte> value = Value();
            _batch.Clear();
            if (_lsm is not null)
            {
                _batch.Put(Keyspace, _key, Core.Version.Zero, value);
                _version = _lsm.Write(_batch, sync).Value;
            }
            else
            {
                _batch.Put(Keyspace + (uint)index, _key, new Core.Version(++_version), value);
                engine.Apply(_batch, sync);
            }

            if ((i & 4095) == 0)
            {
                engine.SetHistoryFloor(new Core.Version(_version));
            }

            last = Tick(last);
        }
    }

    // Values of 64 KiB.
    private void WriteLarge(long count)
    {
        long last = Stopwatch.GetTimestamp();
        for (long i = 0; i < count; i++)
        {
            SetKey(NextKey());
            _batch.Clear();
            _batch.Put(LargeKeyspace, _key, new Core.Version(++_version), values.AsSpan((int)(Next() & 0x7FFFF), LargeBytes));
            engine.Apply(_batch, options.Sync);
            last = Tick(last);
        }
    }

    // Values that live for ten milliseconds of a clock that goes on by one for each 64 writes, so that the most are over by the time that
    // a flush or a compaction comes to them.
    private void Churn(long count)
    {
        long last = Stopwatch.GetTimestamp();
        for (long i = 0; i < count; i++)
        {
            var version = new Core.Version(FirstChurnVersion + ((ulong)(i / 64) << Core.Version.CounterBits) + (ulong)(i % 64));
            SetKey(NextKey());
            _batch.Clear();
            _batch.Put(ChurnKeyspace, _key, version, Value(), version.Milliseconds + 10);
            engine.Apply(_batch, options.Sync);
            if ((i & 4095) == 0)
            {
                engine.SetHistoryFloor(version);
            }

            last = Tick(last);
        }
    }

    // Ten versions of each of a tenth of the keys, and the floor stays where it is.
    private void WriteHistory()
    {
        long keys = HistoryKeys;
        long last = Stopwatch.GetTimestamp();
        for (long i = 0; i < keys * HistoryVersions; i++)
        {
            SetKey(i % keys);
            _batch.Clear();
            _batch.Put(HistoryKeyspace, _key, HistoryVersion(i), Value());
            engine.Apply(_batch, options.Sync);
            last = Tick(last);
        }
    }

    private void ReadHistory(long count)
    {
        long keys = HistoryKeys;
        long last = Stopwatch.GetTimestamp();
        for (long i = 0; i < count; i++)
        {
            long key = (long)(Next() % (ulong)keys);
            SetKey(key);
            long round = (long)(Next() % HistoryVersions);
            if (engine.TryGet(HistoryKeyspace, _key, new ReadPoint(HistoryVersion((round * keys) + key), 0), out PinnedValue value))
            {
                Found++;
                value.Dispose();
            }

            last = Tick(last);
        }
    }

    private long HistoryKeys => Math.Max(1, options.Num / HistoryVersions);

    private static Core.Version HistoryVersion(long write) => new(FirstHistoryVersion + (ulong)write);

    private ReadOnlySpan<byte> Value() => values.AsSpan((int)(Next() & 0xFFFFF), options.ValueBytes);

    private void Read(long count, bool missing)
    {
        var point = new ReadPoint(Core.Version.Max, 0);
        byte[] key = missing ? new byte[_key.Length + 1] : _key;
        long last = Stopwatch.GetTimestamp();
        for (long i = 0; i < count; i++)
        {
            SetKey(NextKey());
            if (missing)
            {
                _key.CopyTo(key, 0);
                key[^1] = (byte)'.';
            }

            if (engine.TryGet(Keyspace, key, point, out PinnedValue value))
            {
                Found++;
                value.Dispose();
            }

            last = Tick(last);
        }
    }

    private void Seek(long count)
    {
        long last = Stopwatch.GetTimestamp();
        for (long i = 0; i < count; i++)
        {
            SetKey(NextKey());
            using EngineIterator iterator = engine.CreateIterator(
                new IteratorOptions
                {
                    Keyspace = Keyspace,
                    Point = new ReadPoint(Core.Version.Max, 0),
                    FillCache = true,
                });
            iterator.Seek(_key);
            if (iterator.Valid && iterator.Key.SequenceEqual(_key))
            {
                Found++;
            }

            long bytes = 0;
            for (int n = 0; n < options.SeekNexts && iterator.Valid; n++)
            {
                bytes += iterator.Value.Length;
                iterator.Next();
            }

            last = Tick(last);
        }
    }

    private void ReadSequentially(long count)
    {
        using EngineIterator iterator = engine.CreateIterator(
            new IteratorOptions
            {
                Keyspace = Keyspace,
                Point = new ReadPoint(Core.Version.Max, 0),
                FillCache = true,
            });
        long bytes = 0;
        long i = 0;
        long last = Stopwatch.GetTimestamp();
        for (iterator.SeekToFirst(); iterator.Valid && i < count; iterator.Next())
        {
            bytes += iterator.Key.Length + iterator.Value.Length;

            // A look at the clock costs as much as a step: one for sixteen.
            if ((++i & 15) == 0)
            {
                long now = Stopwatch.GetTimestamp();
                Latencies.Record((now - last) * (1_000_000_000 / Stopwatch.Frequency) / 16);
                last = now;
            }
        }

        Operations = i;
        Found = bytes == 0 ? 0 : i;
    }

    private long Tick(long last)
    {
        long now = Stopwatch.GetTimestamp();
        Latencies.Record((now - last) * (1_000_000_000 / Stopwatch.Frequency));
        Operations++;
        return now;
    }

    private long NextKey() => (long)(Next() % (ulong)options.Num);

    // As in db_bench: the number big-endian, then zeros ('0').
    private void SetKey(long number)
    {
        System.Buffers.Binary.BinaryPrimitives.WriteInt64BigEndian(_key, number);
        _key.AsSpan(8).Fill((byte)'0');
    }

    // splitmix64 (Steele et al., 2014).
    private ulong Next()
    {
        ulong z = _random += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}

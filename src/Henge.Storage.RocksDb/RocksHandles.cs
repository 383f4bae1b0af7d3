using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Henge.Storage.RocksDb;

/// <summary>The open database, and the options that go with it for as long as it is open.</summary>
internal sealed unsafe class RocksHandles : IDisposable
{
    private readonly nint _cache;
    private readonly nint _options;
    private readonly nint _env;
    private readonly nint _files;
    private int _disposed;

    /// <summary>Opens or makes the database.</summary>
    public RocksHandles(RocksDbOptions options)
    {
        Rocks.Load();
        _cache = Rocks.cache_create_lru((nuint)options.BlockCacheBytes);
        nint table = Rocks.block_based_options_create();
        Rocks.block_based_options_set_block_cache(table, _cache);

        // Over prefixes, which are keys without their versions; whole keys are never asked for.
        Rocks.block_based_options_set_filter_policy(table, Rocks.filterpolicy_create_bloom_full(options.BloomBitsPerKey));
        Rocks.block_based_options_set_whole_key_filtering(table, 0);
        _options = Rocks.options_create();
        Rocks.options_set_block_based_table_factory(_options, table);
        Rocks.block_based_options_destroy(table);
        Rocks.options_set_create_if_missing(_options, 1);
        Rocks.options_set_paranoid_checks(_options, 1);
        Rocks.options_set_prefix_extractor(_options, CreatePrefixExtractor());
        Rocks.options_set_memtable_prefix_bloom_size_ratio(_options, 0.05);
        Rocks.options_set_write_buffer_size(_options, (nuint)options.EffectiveMemTableBytes);
        Rocks.options_set_max_write_buffer_number(_options, RocksDbOptions.MemTables);
        Rocks.options_set_target_file_size_base(_options, (ulong)options.TargetTableBytes);
        Rocks.options_set_max_bytes_for_level_base(_options, (ulong)options.LevelBaseBytes);

        // As the LSM engine, so that the two can be compared: levels that grow by ten, no compression, the same triggers, two threads.
        Rocks.options_set_level_compaction_dynamic_level_bytes(_options, 0);
        Rocks.options_set_level0_file_num_compaction_trigger(_options, 4);
        Rocks.options_set_level0_slowdown_writes_trigger(_options, 12);
        Rocks.options_set_level0_stop_writes_trigger(_options, 20);
        Rocks.options_set_max_background_jobs(_options, 2);
        Rocks.options_set_compression(_options, 0);
        Rocks.options_set_max_open_files(_options, -1);
        Rocks.options_set_keep_log_file_num(_options, 4);
        Rocks.options_set_max_log_file_size(_options, 4 << 20);

        // With it, RocksDB goes on by itself when a full disk has room again.
        _env = Rocks.create_default_env();
        _files = Rocks.sst_file_manager_create(_env);
        Rocks.options_set_sst_file_manager(_options, _files);

        Write = Rocks.writeoptions_create();
        SyncedWrite = Rocks.writeoptions_create();
        Rocks.writeoptions_disable_WAL(Write, options.WriteAheadLog ? 0 : 1);
        Rocks.writeoptions_disable_WAL(SyncedWrite, options.WriteAheadLog ? 0 : 1);
        Rocks.writeoptions_set_sync(SyncedWrite, options.WriteAheadLog ? (byte)1 : (byte)0);
        FlushAndWait = Rocks.flushoptions_create();
        Rocks.flushoptions_set_wait(FlushAndWait, 1);
        byte* error = null;
        Db = Rocks.open(_options, options.Directory, &error);
        if (error != null)
        {
            FreeOptions();
            Rocks.Check(error, options.Directory);
        }
    }

    /// <summary>The database.</summary>
    public nint Db { get; }

    /// <summary>Options of a write that need not be durable.</summary>
    public nint Write { get; }

    /// <summary>Options of a write that is durable when it returns, where there is a log.</summary>
    public nint SyncedWrite { get; }

    /// <summary>Options of a flush that returns when it is done.</summary>
    public nint FlushAndWait { get; }

    /// <summary>Options for reads of one key, or for scans, as of a snapshot (0: now). Free them with the library's call.</summary>
    public static nint CreateReadOptions(bool isScan, bool fillCache, nint snapshot)
    {
        nint options = Rocks.readoptions_create();
        Rocks.readoptions_set_prefix_same_as_start(options, isScan ? (byte)0 : (byte)1);
        Rocks.readoptions_set_total_order_seek(options, isScan ? (byte)1 : (byte)0);
        Rocks.readoptions_set_fill_cache(options, fillCache ? (byte)1 : (byte)0);
        if (snapshot != 0)
        {
            Rocks.readoptions_set_snapshot(options, snapshot);
        }

        return options;
    }

    /// <summary>A number that the database knows of itself; 0 where it does not.</summary>
    public long Property(string name)
    {
        ulong value = 0;
        return Rocks.property_int(Db, name, &value) == 0 ? (long)value : 0;
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            Rocks.cancel_all_background_work(Db, 1);
            Rocks.close(Db);
            FreeOptions();
        }
    }

    private void FreeOptions()
    {
        Rocks.flushoptions_destroy(FlushAndWait);
        Rocks.writeoptions_destroy(SyncedWrite);
        Rocks.writeoptions_destroy(Write);
        Rocks.options_destroy(_options);
        Rocks.sst_file_manager_destroy(_files);
        Rocks.env_destroy(_env);
        Rocks.cache_destroy(_cache);
    }

    // Everything but the version, as TiKV has it: point reads seek, and a filter over this spares them tables without the key.
    private static nint CreatePrefixExtractor() => Rocks.slicetransform_create(0, &Nothing, &Transform, &IsInDomain, &Name);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Nothing(nint state)
    {
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte* Transform(nint state, byte* key, nuint length, nuint* prefixLength)
    {
        *prefixLength = length - RocksKey.SuffixBytes;
        return key;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte IsInDomain(nint state, byte* key, nuint length) =>
        length > RocksKey.SuffixBytes + sizeof(uint) && *key == RocksKey.EntryTag ? (byte)1 : (byte)0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte* Name(nint state) => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference("henge.without-version\0"u8));
}

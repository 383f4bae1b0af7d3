using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using Henge.Core;

namespace Henge.Storage.RocksDb;

/// <summary>
/// The functions of RocksDB's C interface (<c>rocksdb/c.h</c>) that the engine uses, in the library that the package RocksDB brings.
/// Declared here and not taken from the package's assembly, whose bindings are made at run time by emitting code for all of its functions
/// (docs/decisions/0222-rocksdb-behind-the-seam.md). Errors come as a C string that the caller frees: <see cref="Check"/>.
/// </summary>
internal static unsafe partial class Rocks
{
    private const string Library = "rocksdb";

    // The second is for systems whose C library is musl.
    private static readonly string[] Names = ["rocksdb", "librocksdb", "rocksdb-musl"];

    static Rocks() => NativeLibrary.SetDllImportResolver(typeof(Rocks).Assembly, Resolve);

    /// <summary>Loads the library. Throws <see cref="ErrorCode.Misconfigured"/> where that is not possible.</summary>
    public static void Load()
    {
        try
        {
            writeoptions_destroy(writeoptions_create());
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException or BadImageFormatException
            or TypeInitializationException)
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"The native library of RocksDB cannot be loaded on this machine ({RuntimeInformation.RuntimeIdentifier}). The other "
                    + $"engines need none: lsm is the default. What the system says: {(e.InnerException ?? e).Message}",
                e);
        }
    }

    /// <summary>Throws what an error string stands for, and frees it; nothing for null.</summary>
    /// <exception cref="HengeException"><see cref="ErrorCode.Corruption"/>, <see cref="ErrorCode.DiskFull"/>.</exception>
    /// <exception cref="IOException">Any other error.</exception>
    public static void Check(byte* error, string directory)
    {
        if (error == null)
        {
            return;
        }

        string message = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(error));
        free(error);
        throw ToException(message, directory);
    }

    internal static Exception ToException(string message, string directory)
    {
        if (message.StartsWith("Corruption", StringComparison.Ordinal))
        {
            return new HengeException(ErrorCode.Corruption, $"RocksDB in {directory}: {message}");
        }

        // EDQUOT and ENOSPC, as strerror words them.
        if (message.Contains("No space left", StringComparison.OrdinalIgnoreCase)
            || message.Contains("quota", StringComparison.OrdinalIgnoreCase)
            || message.Contains("NoSpace", StringComparison.Ordinal))
        {
            return new HengeException(
                ErrorCode.DiskFull,
                $"The disk under {directory} is full, so writes are refused. Reads go on. Make room; the engine goes on by itself. "
                    + $"RocksDB: {message}");
        }

        if (message.Contains("lock", StringComparison.OrdinalIgnoreCase) && message.Contains("LOCK", StringComparison.Ordinal))
        {
            return new HengeException(ErrorCode.Locked, $"{directory} is open in another process, or twice in this one: {message}");
        }

        return new IOException($"RocksDB in {directory}: {message}");
    }

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path)
    {
        if (name != Library)
        {
            return 0;
        }

        foreach (string candidate in Names)
        {
            if (NativeLibrary.TryLoad(candidate, assembly, path, out nint handle))
            {
                return handle;
            }
        }

        return 0;
    }

    [LibraryImport(Library, EntryPoint = "rocksdb_free")]
    private static partial void free(void* memory);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_create")]
    internal static partial nint options_create();

    [LibraryImport(Library, EntryPoint = "rocksdb_options_destroy")]
    internal static partial void options_destroy(nint options);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_create_if_missing")]
    internal static partial void options_set_create_if_missing(nint options, byte value);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_paranoid_checks")]
    internal static partial void options_set_paranoid_checks(nint options, byte value);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_write_buffer_size")]
    internal static partial void options_set_write_buffer_size(nint options, nuint bytes);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_max_write_buffer_number")]
    internal static partial void options_set_max_write_buffer_number(nint options, int count);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_target_file_size_base")]
    internal static partial void options_set_target_file_size_base(nint options, ulong bytes);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_max_bytes_for_level_base")]
    internal static partial void options_set_max_bytes_for_level_base(nint options, ulong bytes);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_level_compaction_dynamic_level_bytes")]
    internal static partial void options_set_level_compaction_dynamic_level_bytes(nint options, byte value);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_level0_file_num_compaction_trigger")]
    internal static partial void options_set_level0_file_num_compaction_trigger(nint options, int count);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_level0_slowdown_writes_trigger")]
    internal static partial void options_set_level0_slowdown_writes_trigger(nint options, int count);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_level0_stop_writes_trigger")]
    internal static partial void options_set_level0_stop_writes_trigger(nint options, int count);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_max_background_jobs")]
    internal static partial void options_set_max_background_jobs(nint options, int count);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_compression")]
    internal static partial void options_set_compression(nint options, int kind);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_max_open_files")]
    internal static partial void options_set_max_open_files(nint options, int count);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_keep_log_file_num")]
    internal static partial void options_set_keep_log_file_num(nint options, nuint count);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_max_log_file_size")]
    internal static partial void options_set_max_log_file_size(nint options, nuint bytes);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_prefix_extractor")]
    internal static partial void options_set_prefix_extractor(nint options, nint transform);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_memtable_prefix_bloom_size_ratio")]
    internal static partial void options_set_memtable_prefix_bloom_size_ratio(nint options, double ratio);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_block_based_table_factory")]
    internal static partial void options_set_block_based_table_factory(nint options, nint table);

    [LibraryImport(Library, EntryPoint = "rocksdb_create_default_env")]
    internal static partial nint create_default_env();

    [LibraryImport(Library, EntryPoint = "rocksdb_env_destroy")]
    internal static partial void env_destroy(nint env);

    [LibraryImport(Library, EntryPoint = "rocksdb_sst_file_manager_create")]
    internal static partial nint sst_file_manager_create(nint env);

    [LibraryImport(Library, EntryPoint = "rocksdb_sst_file_manager_destroy")]
    internal static partial void sst_file_manager_destroy(nint manager);

    [LibraryImport(Library, EntryPoint = "rocksdb_options_set_sst_file_manager")]
    internal static partial void options_set_sst_file_manager(nint options, nint manager);

    [LibraryImport(Library, EntryPoint = "rocksdb_block_based_options_create")]
    internal static partial nint block_based_options_create();

    [LibraryImport(Library, EntryPoint = "rocksdb_block_based_options_destroy")]
    internal static partial void block_based_options_destroy(nint options);

    [LibraryImport(Library, EntryPoint = "rocksdb_block_based_options_set_filter_policy")]
    internal static partial void block_based_options_set_filter_policy(nint options, nint policy);

    [LibraryImport(Library, EntryPoint = "rocksdb_block_based_options_set_whole_key_filtering")]
    internal static partial void block_based_options_set_whole_key_filtering(nint options, byte value);

    [LibraryImport(Library, EntryPoint = "rocksdb_block_based_options_set_block_cache")]
    internal static partial void block_based_options_set_block_cache(nint options, nint cache);

    [LibraryImport(Library, EntryPoint = "rocksdb_filterpolicy_create_bloom_full")]
    internal static partial nint filterpolicy_create_bloom_full(double bits);

    [LibraryImport(Library, EntryPoint = "rocksdb_cache_create_lru")]
    internal static partial nint cache_create_lru(nuint bytes);

    [LibraryImport(Library, EntryPoint = "rocksdb_cache_destroy")]
    internal static partial void cache_destroy(nint cache);

    [LibraryImport(Library, EntryPoint = "rocksdb_slicetransform_create")]
    internal static partial nint slicetransform_create(
        nint state,
        delegate* unmanaged[Cdecl]<nint, void> destructor,
        delegate* unmanaged[Cdecl]<nint, byte*, nuint, nuint*, byte*> transform,
        delegate* unmanaged[Cdecl]<nint, byte*, nuint, byte> inDomain,
        delegate* unmanaged[Cdecl]<nint, byte*> name);

    [LibraryImport(Library, EntryPoint = "rocksdb_open", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial nint open(nint options, string path, byte** error);

    [LibraryImport(Library, EntryPoint = "rocksdb_close")]
    internal static partial void close(nint db);

    [LibraryImport(Library, EntryPoint = "rocksdb_cancel_all_background_work")]
    internal static partial void cancel_all_background_work(nint db, byte wait);

    [LibraryImport(Library, EntryPoint = "rocksdb_writeoptions_create")]
    internal static partial nint writeoptions_create();

    [LibraryImport(Library, EntryPoint = "rocksdb_writeoptions_destroy")]
    internal static partial void writeoptions_destroy(nint options);

    [LibraryImport(Library, EntryPoint = "rocksdb_writeoptions_set_sync")]
    internal static partial void writeoptions_set_sync(nint options, byte value);

    [LibraryImport(Library, EntryPoint = "rocksdb_writeoptions_disable_WAL")]
    internal static partial void writeoptions_disable_WAL(nint options, int value);

    [LibraryImport(Library, EntryPoint = "rocksdb_writebatch_create")]
    internal static partial nint writebatch_create();

    [LibraryImport(Library, EntryPoint = "rocksdb_writebatch_destroy")]
    internal static partial void writebatch_destroy(nint batch);

    [LibraryImport(Library, EntryPoint = "rocksdb_writebatch_clear")]
    internal static partial void writebatch_clear(nint batch);

    [LibraryImport(Library, EntryPoint = "rocksdb_writebatch_put")]
    internal static partial void writebatch_put(nint batch, byte* key, nuint keyLength, byte* value, nuint valueLength);

    [LibraryImport(Library, EntryPoint = "rocksdb_writebatch_putv")]
    internal static partial void writebatch_putv(
        nint batch, int keyParts, byte** keys, nuint* keyLengths, int valueParts, byte** values, nuint* valueLengths);

    [LibraryImport(Library, EntryPoint = "rocksdb_writebatch_delete")]
    internal static partial void writebatch_delete(nint batch, byte* key, nuint keyLength);

    [LibraryImport(Library, EntryPoint = "rocksdb_writebatch_delete_range")]
    internal static partial void writebatch_delete_range(nint batch, byte* from, nuint fromLength, byte* to, nuint toLength);

    [LibraryImport(Library, EntryPoint = "rocksdb_write")]
    internal static partial void write(nint db, nint options, nint batch, byte** error);

    [LibraryImport(Library, EntryPoint = "rocksdb_flushoptions_create")]
    internal static partial nint flushoptions_create();

    [LibraryImport(Library, EntryPoint = "rocksdb_flushoptions_destroy")]
    internal static partial void flushoptions_destroy(nint options);

    [LibraryImport(Library, EntryPoint = "rocksdb_flushoptions_set_wait")]
    internal static partial void flushoptions_set_wait(nint options, byte value);

    [LibraryImport(Library, EntryPoint = "rocksdb_flush")]
    internal static partial void flush(nint db, nint options, byte** error);

    [LibraryImport(Library, EntryPoint = "rocksdb_readoptions_create")]
    internal static partial nint readoptions_create();

    [LibraryImport(Library, EntryPoint = "rocksdb_readoptions_destroy")]
    internal static partial void readoptions_destroy(nint options);

    [LibraryImport(Library, EntryPoint = "rocksdb_readoptions_set_prefix_same_as_start")]
    internal static partial void readoptions_set_prefix_same_as_start(nint options, byte value);

    [LibraryImport(Library, EntryPoint = "rocksdb_readoptions_set_total_order_seek")]
    internal static partial void readoptions_set_total_order_seek(nint options, byte value);

    [LibraryImport(Library, EntryPoint = "rocksdb_readoptions_set_fill_cache")]
    internal static partial void readoptions_set_fill_cache(nint options, byte value);

    [LibraryImport(Library, EntryPoint = "rocksdb_readoptions_set_snapshot")]
    internal static partial void readoptions_set_snapshot(nint options, nint snapshot);

    [LibraryImport(Library, EntryPoint = "rocksdb_create_snapshot")]
    internal static partial nint create_snapshot(nint db);

    [LibraryImport(Library, EntryPoint = "rocksdb_release_snapshot")]
    internal static partial void release_snapshot(nint db, nint snapshot);

    [LibraryImport(Library, EntryPoint = "rocksdb_create_iterator")]
    internal static partial nint create_iterator(nint db, nint options);

    [LibraryImport(Library, EntryPoint = "rocksdb_iter_destroy")]
    internal static partial void iter_destroy(nint iterator);

    [LibraryImport(Library, EntryPoint = "rocksdb_iter_valid")]
    [SuppressGCTransition]
    internal static partial byte iter_valid(nint iterator);

    [LibraryImport(Library, EntryPoint = "rocksdb_iter_seek")]
    internal static partial void iter_seek(nint iterator, byte* key, nuint length);

    [LibraryImport(Library, EntryPoint = "rocksdb_iter_seek_for_prev")]
    internal static partial void iter_seek_for_prev(nint iterator, byte* key, nuint length);

    [LibraryImport(Library, EntryPoint = "rocksdb_iter_next")]
    internal static partial void iter_next(nint iterator);

    [LibraryImport(Library, EntryPoint = "rocksdb_iter_prev")]
    internal static partial void iter_prev(nint iterator);

    [LibraryImport(Library, EntryPoint = "rocksdb_iter_key")]
    [SuppressGCTransition]
    internal static partial byte* iter_key(nint iterator, nuint* length);

    [LibraryImport(Library, EntryPoint = "rocksdb_iter_value")]
    internal static partial byte* iter_value(nint iterator, nuint* length);

    [LibraryImport(Library, EntryPoint = "rocksdb_iter_get_error")]
    internal static partial void iter_get_error(nint iterator, byte** error);

    [LibraryImport(Library, EntryPoint = "rocksdb_property_int", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int property_int(nint db, string name, ulong* value);

    [LibraryImport(Library, EntryPoint = "rocksdb_approximate_sizes")]
    internal static partial void approximate_sizes(
        nint db, int ranges, byte** from, nuint* fromLengths, byte** to, nuint* toLengths, ulong* sizes, byte** error);

    [LibraryImport(Library, EntryPoint = "rocksdb_compact_range")]
    internal static partial void compact_range(nint db, byte* from, nuint fromLength, byte* to, nuint toLength);

    [LibraryImport(Library, EntryPoint = "rocksdb_checkpoint_object_create")]
    internal static partial nint checkpoint_object_create(nint db, byte** error);

    [LibraryImport(Library, EntryPoint = "rocksdb_checkpoint_create", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial void checkpoint_create(nint checkpoint, string directory, ulong logSizeForFlush, byte** error);

    [LibraryImport(Library, EntryPoint = "rocksdb_checkpoint_object_destroy")]
    internal static partial void checkpoint_object_destroy(nint checkpoint);
}

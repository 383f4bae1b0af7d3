using System.Runtime.CompilerServices;
using Henge.Core;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.MemTables;

namespace Henge.Storage.Bitcask.State;

/// <summary>
/// Reads entries where the index says that they lie: one positional read of one entry, whose checksum, key and version are looked at before
/// the value is handed out. Takes no lock, so no reader waits for another or for a writer. Thread-safe.
/// </summary>
internal sealed unsafe class ValueReader(BitcaskState state)
{
    private const int StackKeyBytes = 512;
    private readonly ReadBuffers _buffers = state.Buffers;

    [SkipLocalsInit]
    public bool TryGet(IndexView view, uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value)
    {
        if (view.Find(keyspace) is not { } table)
        {
            value = default;
            return false;
        }

        if (key.Length > StackKeyBytes)
        {
            return TryGetLong(view, table, keyspace, key, point, out value);
        }

        byte* buffer = stackalloc byte[StackKeyBytes + 32];
        return TryGet(view, table, new LookupKey(buffer, keyspace, key, point.At), point.NowMs, out value);
    }

    /// <summary>
    /// Reads an entry into a buffer, which the caller gives back to <see cref="BitcaskState.Buffers"/>; null when the view may not read it
    /// any more: it is one that the history floor has passed.
    /// </summary>
    /// <exception cref="HengeException"><see cref="ErrorCode.Corruption"/>: what is there is not that entry.</exception>
    public byte* Read(
        IndexView view,
        ReadOnlySpan<byte> prefix,
        Core.Version version,
        EntryKind kind,
        EntryAddress address,
        int length,
        out ReadOnlySpan<byte> value)
    {
        value = default;
        if (state.FindSegment(address.Segment) is not { } segment || !view.MayRead(segment))
        {
            return null;
        }

        byte* buffer = _buffers.Take(length);
        try
        {
            value = Read(segment, prefix, version, kind, address.Offset, new Span<byte>(buffer, length));
            return buffer;
        }
        catch (HengeException error)
        {
            _buffers.Unpin((nint)buffer);
            state.Damage.Add(segment, prefix, error);
            throw;
        }
        catch
        {
            _buffers.Unpin((nint)buffer);
            throw;
        }
    }

    /// <summary>Reads a whole entry, as it lies there, into a buffer of its length, and returns where its value is in it.</summary>
    public static ReadOnlySpan<byte> Read(
        Segment segment,
        ReadOnlySpan<byte> prefix,
        Core.Version version,
        EntryKind kind,
        uint offset,
        Span<byte> buffer)
    {
        try
        {
            int read = segment.Read(offset, buffer);
            if (read < buffer.Length)
            {
                throw SegmentStore.Damage(segment.File.Path, offset, $"the file ends at {offset + read}, within an entry");
            }
        }
        catch (IOException error) when (FileErrors.IsUnreadable(error))
        {
            throw SegmentStore.Damage(segment.File.Path, offset, $"the disk cannot read it: {error.Message}", error);
        }

        if (!StoredEntry.IsWhole(buffer))
        {
            throw SegmentStore.Damage(segment.File.Path, offset, "the checksum of the entry there does not fit");
        }

        bool isIt = StoredEntry.TryRead(buffer, out StoredEntry entry)
            && entry.Length == buffer.Length
            && entry.Kind == kind
            && entry.Version == version
            && entry.Keyspace == System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(prefix)
            && entry.Key.SequenceEqual(prefix[InternalKey.KeyspaceBytes..]);
        return isIt
            ? entry.Value
            : throw SegmentStore.Damage(segment.File.Path, offset, "another entry lies there than the index says");
    }

    private bool TryGet(IndexView view, MemTable table, in LookupKey lookup, long nowMs, out PinnedValue value)
    {
        value = default;
        if (!table.TryPeek(lookup, out FoundEntry found)
            || found.Kind == EntryKind.Delete
            || (EntryHeader.IsIn(found.Kind) && !EntryHeader.IsAlive(found.ExpiresAtMs, nowMs)))
        {
            return false;
        }

        byte* buffer = Read(
            view,
            lookup.InternalKeySpan[..lookup.PrefixLength],
            found.Version,
            found.Kind,
            Locator.AddressOf(found.Value, found.ValueLength),
            Locator.LengthOf(found.Value),
            out ReadOnlySpan<byte> bytes);
        if (buffer == null)
        {
            return false;
        }

        value = new PinnedValue(
            _buffers,
            (nint)buffer,
            (byte*)Unsafe.AsPointer(ref System.Runtime.InteropServices.MemoryMarshal.GetReference(bytes)),
            bytes.Length,
            found.Version,
            found.ExpiresAtMs,
            found.Type);
        return true;
    }

    private bool TryGetLong(
        IndexView view,
        MemTable table,
        uint keyspace,
        ReadOnlySpan<byte> key,
        ReadPoint point,
        out PinnedValue value)
    {
        byte[] array = System.Buffers.ArrayPool<byte>.Shared.Rent(LookupKey.BufferBytes(key.Length));
        try
        {
            fixed (byte* buffer = array)
            {
                return TryGet(view, table, new LookupKey(buffer, keyspace, key, point.At), point.NowMs, out value);
            }
        }
        finally
        {
            System.Buffers.ArrayPool<byte>.Shared.Return(array);
        }
    }
}

using System.Buffers.Binary;
using Henge.Storage.Files;

namespace Henge.Storage.Bitcask.Segments;

/// <summary>
/// Reads a hint file entry by entry. Each block is checked before anything of it is handed out; whether the hint was whole is known at its
/// end. Memory: one block. Not thread-safe.
/// </summary>
internal sealed class HintReader : IDisposable
{
    private const int UsualBlockBytes = 128 << 10;
    private readonly IFile _file;
    private readonly uint _end;
    private readonly ulong _salt;
    private byte[] _buffer = new byte[UsualBlockBytes];
    private long _at = HintFormat.HeaderBytes;
    private int _next;
    private int _length;
    private ulong _count;

    private HintReader(IFile file, uint end, ulong salt)
    {
        _file = file;
        _end = end;
        _salt = salt;
    }

    /// <summary>The salt of the segment that it is the hint of.</summary>
    public ulong Salt => _salt;

    /// <summary>True when all of it was read and is as it was written. False before its end, and for ever where it is damaged.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>
    /// Opens the hint of a segment; null when it is missing or unreadable, or is that of something else. A segment that cannot be opened
    /// itself has no salt to compare.
    /// </summary>
    public static HintReader? Open(SegmentStore store, uint id, uint end, ulong? salt)
    {
        string path = store.HintPathOf(id);
        if (!store.Files.FileExists(path))
        {
            return null;
        }

        IFile file = store.Files.Open(path, FileOpenMode.Read);
        try
        {
            byte[] page = new byte[HintFormat.HeaderBytes];
            int read = file.Read(0, page);
            if (HintFormat.IsHeaderOf(page.AsSpan(0, read), id, end, out ulong found) && (salt is null || salt == found))
            {
                return new HintReader(file, end, found);
            }
        }
        catch (IOException error) when (FileErrors.IsUnreadable(error))
        {
            // The segment says the same.
        }
        catch
        {
            file.Dispose();
            throw;
        }

        file.Dispose();
        return null;
    }

    /// <summary>The next entry; false at the end, or where the hint is damaged. Spans are valid until the next call.</summary>
    public bool Next(out HintEntry entry)
    {
        entry = default;
        if (_next == _length && !ReadBlock())
        {
            return false;
        }

        if (!HintFormat.TryRead(_buffer.AsSpan(_next, _length - _next), _end, out entry, out int size))
        {
            _next = _length;
            return false;
        }

        _next += size;
        _count++;
        return true;
    }

    public void Dispose() => _file.Dispose();

    private bool ReadBlock()
    {
        _next = 0;
        _length = 0;
        try
        {
            int read = _file.Read(_at, _buffer.AsSpan(0, HintFormat.LastBlockBytes));
            if (read < HintFormat.BlockHeaderBytes)
            {
                return false;
            }

            uint length = BinaryPrimitives.ReadUInt32LittleEndian(_buffer);
            uint checksum = BinaryPrimitives.ReadUInt32LittleEndian(_buffer.AsSpan(4));
            if (length == 0)
            {
                ReadOnlySpan<byte> count = _buffer.AsSpan(HintFormat.BlockHeaderBytes, sizeof(ulong));
                IsComplete = read == HintFormat.LastBlockBytes
                    && HintFormat.Checksum(_salt, 0, count) == checksum
                    && BinaryPrimitives.ReadUInt64LittleEndian(count) == _count;
                return false;
            }

            if (length > HintFormat.MaxBlockBytes)
            {
                return false;
            }

            if (length > _buffer.Length)
            {
                _buffer = new byte[length];
            }

            Span<byte> block = _buffer.AsSpan(0, (int)length);
            if (_file.Read(_at + HintFormat.BlockHeaderBytes, block) < length || HintFormat.Checksum(_salt, length, block) != checksum)
            {
                return false;
            }

            _at += HintFormat.BlockHeaderBytes + length;
            _length = (int)length;
            return true;
        }
        catch (IOException error) when (FileErrors.IsUnreadable(error))
        {
            return false;
        }
    }
}

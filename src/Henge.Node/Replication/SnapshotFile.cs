using System.Buffers.Binary;
using System.Globalization;
using Henge.Core;
using Henge.Raft;
using Henge.Storage;
using Henge.Storage.Files;

namespace Henge.Node.Replication;

/// <summary>
/// A snapshot that was received, on disk until the engine holds its contents durably: so that a crash in the midst of installing it costs
/// nothing. Format (docs/formats.md, "Received snapshots"): <c>magic u32 | version u32</c>, then chunks of <c>length u32 | crc32c u32 |
/// bytes</c>; the first is the Raft header, the last one is empty. Little-endian.
/// </summary>
internal sealed class SnapshotFile : IDisposable
{
    private const uint Magic = 0x504E5348;
    private const uint FormatVersion = 1;
    private const int HeaderBytes = 8;
    private const long SyncEveryBytes = 8L * 1024 * 1024;
    private readonly IFile _file;
    private long _length;
    private long _synced;

    private SnapshotFile(IFile file, string path)
    {
        _file = file;
        Path = path;
    }

    /// <summary>Bytes in it.</summary>
    public long Length => _length;

    /// <summary>Where it is.</summary>
    public string Path { get; }

    /// <summary>The name of a shard's complete snapshot in a directory.</summary>
    public static string NameOf(string directory, ShardId shard) =>
        System.IO.Path.Combine(directory, string.Create(CultureInfo.InvariantCulture, $"shard-{shard.Value}.snapshot"));

    /// <summary>Begins one under a name of its own, which <see cref="Complete"/> changes.</summary>
    public static SnapshotFile Create(IFileSystem files, string directory, ShardId shard, ReadOnlySpan<byte> header)
    {
        files.CreateDirectoryDurably(directory);
        string path = NameOf(directory, shard) + ".part";
        if (files.FileExists(path))
        {
            files.Delete(path);
        }

        var file = new SnapshotFile(files.Open(path, FileOpenMode.CreateNew), path);
        try
        {
            Span<byte> start = stackalloc byte[HeaderBytes];
            BinaryPrimitives.WriteUInt32LittleEndian(start, Magic);
            BinaryPrimitives.WriteUInt32LittleEndian(start[4..], FormatVersion);
            file._file.Write(0, start);
            file._length = HeaderBytes;
            file.Append(header);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Adds a piece. Syncs now and then, so that the last sync is short.</summary>
    public void Append(ReadOnlySpan<byte> chunk)
    {
        Span<byte> head = stackalloc byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(head, (uint)chunk.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(head[4..], Crc32C.Compute(chunk));
        _file.Write(_length, head);
        if (!chunk.IsEmpty)
        {
            _file.Write(_length + 8, chunk);
        }

        _length += 8 + chunk.Length;
        if (_length - _synced >= SyncEveryBytes)
        {
            _file.Sync();
            _synced = _length;
        }
    }

    /// <summary>Ends it, makes it durable and gives it its name.</summary>
    public void Complete(IFileSystem files, string directory, ShardId shard)
    {
        Append([]);
        _file.Sync();
        _file.Dispose();
        files.Rename(Path, NameOf(directory, shard));
        files.SyncDirectory(directory);
    }

    /// <summary>
    /// Reads a complete one: its header, then its pieces one by one. Null when there is none. Throws <see cref="HengeException"/>
    /// (Corruption) for damage.
    /// </summary>
    public static InstallSnapshot? Read(IFileSystem files, string directory, ShardId shard, SnapshotChunkHandler? onChunk)
    {
        string path = NameOf(directory, shard);
        if (!files.FileExists(path))
        {
            return null;
        }

        using IFile file = files.Open(path, FileOpenMode.Read);
        byte[] buffer = new byte[64 * 1024];
        if (file.Read(0, buffer.AsSpan(0, HeaderBytes)) != HeaderBytes || BinaryPrimitives.ReadUInt32LittleEndian(buffer) != Magic)
        {
            throw Damaged(path, 0);
        }

        uint version = BinaryPrimitives.ReadUInt32LittleEndian(buffer.AsSpan(4));
        if (version != FormatVersion)
        {
            throw new HengeException(
                ErrorCode.UnsupportedFormat,
                $"The snapshot '{path}' has format version {version}; this build knows {FormatVersion}. Use the build that wrote it, or a "
                    + $"newer one.");
        }

        InstallSnapshot? header = null;
        for (long at = HeaderBytes; ;)
        {
            if (file.Read(at, buffer.AsSpan(0, 8)) != 8)
            {
                throw Damaged(path, at);
            }

            uint length = BinaryPrimitives.ReadUInt32LittleEndian(buffer);
            uint crc = BinaryPrimitives.ReadUInt32LittleEndian(buffer.AsSpan(4));
            if (length > Peers.PeerFrame.MaxBytes)
            {
                throw Damaged(path, at);
            }

            if (buffer.Length < length)
            {
                buffer = new byte[length];
            }

            Span<byte> chunk = buffer.AsSpan(0, (int)length);
            if (file.Read(at + 8, chunk) != chunk.Length || Crc32C.Compute(chunk) != crc)
            {
                throw Damaged(path, at);
            }

            if (header is null)
            {
                header =
                    RaftMessageCodec.TryDecode(chunk, out RaftMessage? message, out _) && message is InstallSnapshot found
                        ? found
                        : throw Damaged(path, at);
            }
            else if (length == 0)
            {
                return header;
            }
            else if (onChunk is null)
            {
                return header;
            }
            else
            {
                onChunk(chunk);
            }

            at += 8 + length;
        }
    }

    /// <summary>Deletes a shard's complete snapshot, which the engine now holds durably.</summary>
    public static void Delete(IFileSystem files, string directory, ShardId shard)
    {
        string path = NameOf(directory, shard);
        if (files.FileExists(path))
        {
            files.Delete(path);
            files.SyncDirectory(directory);
        }
    }

    /// <summary>Deletes all that there is of a shard's snapshots, whole or not.</summary>
    public static void DeleteAll(IFileSystem files, string directory, ShardId shard)
    {
        string part = NameOf(directory, shard) + ".part";
        if (files.FileExists(part))
        {
            files.Delete(part);
        }

        Delete(files, directory, shard);
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static HengeException Damaged(string path, long offset) =>
        new(
            ErrorCode.Corruption,
            $"The snapshot '{path}' is damaged at offset {offset}. It was being installed when the node stopped, so this node cannot go on "
                + $"without it. Restore the file, or the data directory, from a copy. {DirectoryAdvice.Node}");
}

/// <summary>Takes a piece of a snapshot, valid during the call only.</summary>
internal delegate void SnapshotChunkHandler(ReadOnlySpan<byte> chunk);

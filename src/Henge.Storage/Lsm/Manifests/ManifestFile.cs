using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Manifests;

/// <summary>How a manifest ends.</summary>
/// <param name="IsTorn">A crash cut the last edit short, which was therefore never in effect.</param>
/// <param name="VoidEdit">What is to be said of a last edit that is whole and was never in effect; null when there is none.</param>
internal readonly record struct ManifestTail(bool IsTorn, string? VoidEdit);

/// <summary>
/// A manifest on disk: 16 bytes of header (magic, format version, checksum), then records that hold edits. Which manifest counts is
/// said by the file CURRENT, which is only ever replaced by an atomic, synced rename.
/// </summary>
internal sealed class ManifestFile : IDisposable
{
    /// <summary>"HNGMANIF", little-endian.</summary>
    public const ulong Magic = 0x46494E414D474E48;
    public const uint FormatVersion = 1;
    public const int HeaderBytes = 16;

    private readonly IFile _file;
    private uint _sequence = 1;

    private ManifestFile(IFile file, ulong number)
    {
        _file = file;
        Number = number;
    }

    public ulong Number { get; }

    public long Length { get; private set; }

    /// <summary>
    /// Writes a new manifest that begins with one edit, and makes it durable. It counts only after <see cref="SwitchTo"/>.
    /// </summary>
    public static ManifestFile Create(IFileSystem files, string directory, ulong number, VersionEdit first)
    {
        string path = Path.Combine(directory, EngineFiles.Manifest(number));
        IFile file = files.Open(path, FileOpenMode.CreateNew);
        try
        {
            byte[] header = new byte[HeaderBytes];
            BinaryPrimitives.WriteUInt64LittleEndian(header, Magic);
            BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(8), FormatVersion);
            BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(12), Crc32C.Compute(header.AsSpan(0, 12)));
            file.Write(0, header);
            var manifest = new ManifestFile(file, number) { Length = HeaderBytes };
            manifest.Append(first);
            return manifest;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Makes CURRENT name a manifest, atomically and durably.</summary>
    public static void SwitchTo(IFileSystem files, string directory, ulong number)
    {
        string temporary = Path.Combine(directory, EngineFiles.CurrentTemporary);
        if (files.FileExists(temporary))
        {
            files.Delete(temporary);
        }

        using (IFile file = files.Open(temporary, FileOpenMode.CreateNew))
        {
            file.Write(0, EncodeCurrent(number));
            file.Sync();
        }

        // The manifest's own name must be durable before CURRENT can point to it.
        files.SyncDirectory(directory);
        files.Rename(temporary, Path.Combine(directory, EngineFiles.Current));
        files.SyncDirectory(directory);
    }

    public static ulong ReadCurrent(IFileSystem files, string directory)
    {
        string path = Path.Combine(directory, EngineFiles.Current);
        byte[] content = ReadAll(files, path, 4096);
        string[] lines = Encoding.ASCII.GetString(content).Split('\n');
        if (
            lines.Length != 4
            || lines[3].Length != 0
            || !lines[0].StartsWith("henge-lsm ", StringComparison.Ordinal)
            || lines[2]
                != Crc32C.Compute(Encoding.ASCII.GetBytes(lines[0] + "\n" + lines[1] + "\n")).ToString("x8", CultureInfo.InvariantCulture))
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"{path} is damaged at offset 0: its checksum does not fit. " + DirectoryAdvice.Engine);
        }

        if (lines[0] != "henge-lsm 1")
        {
            throw new HengeException(
                ErrorCode.UnsupportedFormat,
                $"{path} says format '{lines[0]}', and this build knows 'henge-lsm 1' only. "
                    + "Open the directory with the build that wrote it, or a newer one.");
        }

        return EngineFiles.IsManifest(lines[1], out ulong number)
            ? number
            : throw new HengeException(ErrorCode.Corruption, $"{path} names no manifest ('{lines[1]}').");
    }

    /// <summary>Reads a manifest into what it adds up to, and says how it ends.</summary>
    public static ManifestState Read(IFileSystem files, string directory, ulong number, out ManifestTail tail)
    {
        string path = Path.Combine(directory, EngineFiles.Manifest(number));
        var state = new ManifestState();
        (long Offset, string Problem)? last = null;
        bool torn = Walk(files, path, (offset, edit) =>
        {
            if (last is { } before)
            {
                throw Damage(path, before.Offset, before.Problem);
            }

            if (state.TryApply(edit) is { } problem)
            {
                last = state.IsVoid(edit) ? (offset, problem) : throw Damage(path, offset, problem);
            }
        });
        if (torn && last is { } notLast)
        {
            throw Damage(path, notLast.Offset, notLast.Problem);
        }

        if (state.FindDisorder() is { } disorder)
        {
            throw new HengeException(ErrorCode.Corruption, $"{path} describes levels that are not sorted: {disorder}. " + Advice);
        }

        tail = new ManifestTail(
            torn,
            last is { } left
                ? $"{EngineFiles.Manifest(number)} ends with the edit of a compaction, at offset {left.Offset}, that was never in effect, "
                    + $"since a range drop had been faster: {left.Problem}. It is left out"
                : null);
        return state;
    }

    /// <summary>Calls for each edit, with its offset; true when a torn record ends the manifest. Damage anywhere else throws.</summary>
    public static bool Walk(IFileSystem files, string path, Action<long, VersionEdit> visit)
    {
        byte[] content = ReadAll(files, path, int.MaxValue);
        CheckHeader(path, content);
        int offset = HeaderBytes;
        for (uint sequence = 1; ; sequence++)
        {
            ManifestRecord.Outcome outcome = ManifestRecord.Read(content, offset, sequence, out ReadOnlySpan<byte> payload, out int next);
            switch (outcome)
            {
                case ManifestRecord.Outcome.Record when VersionEdit.TryDecode(payload, out VersionEdit edit):
                    visit(offset, edit);
                    offset = next;
                    break;
                case ManifestRecord.Outcome.Record:
                    throw Damage(path, offset, "the edit there makes no sense");
                case ManifestRecord.Outcome.Damaged:
                    throw Damage(path, offset, "the record there fails its checksum");
                case ManifestRecord.Outcome.Torn when sequence == 1:
                    throw Damage(path, offset, "its first record is not whole");
                default:
                    return outcome == ManifestRecord.Outcome.Torn;
            }
        }
    }

    /// <summary>Appends an edit and makes it durable. After an error the manifest must not be used any more.</summary>
    public void Append(VersionEdit edit)
    {
        byte[] record = ManifestRecord.Encode(_sequence, edit.Encode());
        _file.Write(Length, record);
        try
        {
            _file.Sync();
        }
        catch (DiskFullException error)
        {
            // The record is written, so it may count after a crash: not a full disk that is waited for, but a failed sync, after which
            // nothing is known.
            throw new IOException($"The manifest could not be synced: {error.Message}", error);
        }

        Length += record.Length;
        _sequence++;
    }

    public void Dispose() => _file.Dispose();

    private const string Advice = "Nothing was changed. " + DirectoryAdvice.Engine;

    private static byte[] EncodeCurrent(ulong number)
    {
        string text = "henge-lsm 1\n" + EngineFiles.Manifest(number) + "\n";
        uint checksum = Crc32C.Compute(Encoding.ASCII.GetBytes(text));
        return Encoding.ASCII.GetBytes(text + checksum.ToString("x8", CultureInfo.InvariantCulture) + "\n");
    }

    private static void CheckHeader(string path, byte[] content)
    {
        if (content.Length < HeaderBytes
            || BinaryPrimitives.ReadUInt64LittleEndian(content) != Magic
            || BinaryPrimitives.ReadUInt32LittleEndian(content.AsSpan(12)) != Crc32C.Compute(content.AsSpan(0, 12)))
        {
            throw Damage(path, 0, "its header is not that of a manifest");
        }

        uint version = BinaryPrimitives.ReadUInt32LittleEndian(content.AsSpan(8));
        if (version != FormatVersion)
        {
            throw new HengeException(
                ErrorCode.UnsupportedFormat,
                $"{path} has format version {version}, and this build knows {FormatVersion} only. "
                    + "Open the directory with the build that wrote it, or a newer one.");
        }
    }

    private static HengeException Damage(string path, long offset, string what) =>
        new(ErrorCode.Corruption, $"{path} is damaged at offset {offset}: {what}. {Advice}");

    private static byte[] ReadAll(IFileSystem files, string path, int limitBytes)
    {
        using IFile file = files.Open(path, FileOpenMode.Read);
        if (file.Length > limitBytes)
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"{path} has {file.Length} bytes, which is more than it can have ({limitBytes}). {Advice}");
        }

        byte[] content = new byte[file.Length];
        int read = file.Read(0, content);
        return read == content.Length ? content : content[..read];
    }
}

using System.Globalization;
using Henge.Core;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.Tables;

namespace Henge.Storage.Inspection;

/// <summary>
/// Prints a file of the storage engines readably: a manifest, a table, a segment of a log, CURRENT, and those of a bitcask engine. Changes
/// nothing. Behind <c>henge storage dump</c>.
/// </summary>
public static class StorageDumper
{
    /// <summary>Prints a file of the machine's own disk.</summary>
    public static void Dump(string path, TextWriter output) => Dump(PosixFileSystem.Instance, path, output);

    /// <summary>Prints a file; what kind it is is told by its name.</summary>
    /// <param name="files">Where the file is.</param>
    /// <param name="path">The file.</param>
    /// <param name="output">Where to print.</param>
    /// <param name="describe">What to print of a log's record; by default, the entries of the engine's own batches.</param>
    /// <exception cref="HengeException">
    /// <see cref="ErrorCode.InvalidArgument"/>: no such file, or none of these. <see cref="ErrorCode.Corruption"/>: damage, with the
    /// offset; what comes before it was printed. <see cref="ErrorCode.UnsupportedFormat"/>: of another build.
    /// </exception>
    public static void Dump(IFileSystem files, string path, TextWriter output, LogRecordDescription? describe = null)
    {
        if (!files.FileExists(path))
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"There is no file {path}.");
        }

        string name = Path.GetFileName(path);
        if (EngineFiles.IsTable(name, out _))
        {
            DumpTable(files, path, output);
        }
        else if (EngineFiles.IsManifest(name, out _))
        {
            DumpManifest(files, path, output);
        }
        else if (name.EndsWith(LogFormat.SegmentSuffix, StringComparison.Ordinal))
        {
            LogDump.Write(files, path, output, describe ?? DescribeBatch);
        }
        else if (BitcaskDumper.Knows(name))
        {
            new BitcaskDumper(files, path, output).Dump();
        }
        else if (name == EngineFiles.Current)
        {
            Line(output, $"manifest {ManifestFile.ReadCurrent(files, Path.GetDirectoryName(path) ?? ".")}");
        }
        else
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"{name} is not called like a file of the storage engine. Name a table (000000012.sst), a manifest (MANIFEST-000000007), a "
                    + $"segment of a log (0000000003.log), CURRENT, or of a bitcask engine BITCASK, a segment (0000000003.seg) or a hint "
                    + $"(0000000003.hint).");
        }
    }

    private static void DumpTable(IFileSystem files, string path, TextWriter output)
    {
        using var cache = new BlockCache(0);
        TableReader reader = TableReader.Open(files.Open(path, FileOpenMode.Read), cache);
        try
        {
            reader.Dump(output);
        }
        finally
        {
            reader.Release();
        }
    }

    private static void DumpManifest(IFileSystem files, string path, TextWriter output)
    {
        Line(output, $"manifest, format {ManifestFile.FormatVersion}");
        int edits = 0;
        bool torn = ManifestFile.Walk(files, path, (offset, edit) =>
        {
            edits++;
            Line(output, $"{offset,10}  edit {edits}");
            foreach (string line in edit.Describe())
            {
                Line(output, $"{"",10}    {line}");
            }
        });
        Line(output, torn ? $"{"",10}  a torn edit at the end, which was never in effect"
            : (FormattableString)$"{"",10}  end of {edits} edits");
    }

    private static string DescribeBatch(byte kind, ReadOnlySpan<byte> payload)
    {
        var parts = new List<string>();
        var reader = new WriteBatchReader(payload);
        while (kind == EngineLog.BatchKind && reader.MoveNext())
        {
            parts.Add(reader.IsPosition ? $"position {reader.Keyspace}={reader.Position}"
                : reader.Kind == EntryKind.Delete ? $"delete {Describe(reader)}"
                : $"put {Describe(reader)} {reader.Value.Length} bytes{(reader.ExpiresAtMs == 0 ? "" : $" until {reader.ExpiresAtMs} ms")}"
            );
        }

        return kind != EngineLog.BatchKind || reader.Damaged
            ? Convert.ToHexStringLower(payload[..Math.Min(64, payload.Length)])
            : string.Join("; ", parts);
    }

    private static string Describe(in WriteBatchReader reader) =>
        $"{reader.Keyspace}/{InternalKey.DescribeKey(reader.Key)}@{reader.Version}";

    private static void Line(TextWriter output, FormattableString line) => output.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}

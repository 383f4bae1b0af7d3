using System.Globalization;
using Henge.Core;
using Henge.Storage.Files;

namespace Henge.Storage.Logs;

/// <summary>Prints segments readably: a line for the header, one for each record and mark, one for the end.</summary>
public static class LogDump
{
    private const int ShownBytes = 32;

    /// <summary>Prints one segment. Stops at the first thing that is not a good record, and says what is there.</summary>
    /// <param name="files">Where the file is.</param>
    /// <param name="path">A segment's file.</param>
    /// <param name="output">Where to print.</param>
    /// <param name="describe">What to print of a record; its first bytes in hexadecimal by default.</param>
    /// <exception cref="HengeException">The file is no segment of a log, or of an unknown version.</exception>
    public static void Write(IFileSystem files, string path, TextWriter output, LogRecordDescription? describe = null)
    {
        using IFile file = files.Open(path, FileOpenMode.Read);
        LogSegmentHeader header = LogRecovery.ReadHeader(file, path);
        Line(output, $"log segment {header.Id}, format {LogFormat.Version}, salt {header.Salt:x16}, file of {file.Length} bytes");
        Line(
            output,
            header.PreviousId == 0
                ? (FormattableString)$"first of its log"
                : $"follows segment {header.PreviousId}, whose records end at {header.PreviousEnd}");
        var reader = new LogSegmentReader(file, header, file.Length);
        long records = 0;
        LogScan found;
        while ((found = reader.Next()) != LogScan.Nothing)
        {
            if (found == LogScan.Mark)
            {
                Line(
                    output,
                    $"{reader.RecordOffset,10}  mark: incarnation {reader.Mark.Incarnation}, all before {reader.Mark.DurableEnd} is synced"
                );
                continue;
            }

            records++;
            string text = describe is null ? Hex(reader.Payload) : describe(reader.Kind, reader.Payload);
            Line(output, $"{reader.RecordOffset,10}  kind {reader.Kind}, {reader.Payload.Length} bytes: {text}");
        }

        string reason = reader.EndReason;
        uint highest = 0;
        long proof = reader.FindProofBehind(ref highest);
        Line(output, $"{reader.Offset,10}  end of {records} good records: {reason}");
        if (proof >= 0)
        {
            Line(output, $"{reader.Offset,10}  DAMAGED: the mark at {proof} says that what was here had been synced");
        }
    }

    private static string Hex(ReadOnlySpan<byte> payload) =>
        Convert.ToHexStringLower(payload[..Math.Min(ShownBytes, payload.Length)]) + (payload.Length > ShownBytes ? "…" : "");

    private static void Line(TextWriter output, FormattableString line) => output.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}

using System.Text.Json;
using Henge.Cli.Outcome;
using Henge.Core;

namespace Henge.Cli.Transfer;

/// <summary>
/// Where an import or export stands, beside its file, so that a later run can go on there. Written whole under another name and then
/// renamed, so that it is never half there.
/// </summary>
internal sealed record Checkpoint
{
    /// <summary>How much of a file's beginning is compared at most.</summary>
    private const int LimitHeadBytes = 64 * 1024;

    /// <summary>Bytes of the file that are done with.</summary>
    public required long Offset { get; init; }

    /// <summary>Records that are done with.</summary>
    public required long Records { get; init; }

    /// <summary>Lines that are done with.</summary>
    public long Lines { get; init; }

    /// <summary>Of an import: length of the file.</summary>
    public long FileBytes { get; init; }

    /// <summary>Of an import: checksum of the file's beginning.</summary>
    public uint HeadCrc { get; init; }

    /// <summary>
    /// Of an import: how many bytes <see cref="HeadCrc"/> is of: only what is done with, so that a line that was refused may be mended.
    /// </summary>
    public int HeadBytes { get; init; } = LimitHeadBytes;

    /// <summary>Of an export: where the scan goes on.</summary>
    public ReadOnlyMemory<byte> Continuation { get; init; }

    /// <summary>What was asked for; another request does not go on with it.</summary>
    public string Request { get; init; } = "";

    public static string PathFor(string file) => file + ".henge-progress";

    /// <summary>Reads it; null when there is none. Throws <see cref="UsageException"/> when it makes no sense.</summary>
    public static Checkpoint? Load(string file)
    {
        string path = PathFor(file);
        if (!File.Exists(path))
        {
            return null;
        }

        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            JsonElement root = document.RootElement;
            return new Checkpoint
            {
                Offset = root.GetProperty("offset").GetInt64(),
                Records = root.GetProperty("records").GetInt64(),
                Lines = root.GetProperty("lines").GetInt64(),
                FileBytes = root.GetProperty("file_bytes").GetInt64(),
                HeadCrc = root.GetProperty("head_crc32c").GetUInt32(),
                HeadBytes = root.TryGetProperty("head_bytes", out JsonElement head)
                    ? Math.Clamp(head.GetInt32(), 0, LimitHeadBytes)
                    : LimitHeadBytes,
                Continuation = root.GetProperty("continuation").GetBytesFromBase64(),
                Request = root.GetProperty("request").GetString() ?? "",
            };
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new UsageException($"{path} is not what an import or export leaves behind ({e.Message}). Delete it to begin anew.");
        }
    }

    public void Save(string file)
    {
        string path = PathFor(file);
        using (FileStream stream = new(path + ".new", FileMode.Create, FileAccess.Write))
        {
            using (Utf8JsonWriter json = new(stream))
            {
                json.WriteStartObject();
                json.WriteNumber("offset", Offset);
                json.WriteNumber("records", Records);
                json.WriteNumber("lines", Lines);
                json.WriteNumber("file_bytes", FileBytes);
                json.WriteNumber("head_crc32c", HeadCrc);
                json.WriteNumber("head_bytes", HeadBytes);
                json.WriteBase64String("continuation", Continuation.Span);
                json.WriteString("request", Request);
                json.WriteEndObject();
            }

            stream.Flush(flushToDisk: true);
        }

        File.Move(path + ".new", path, overwrite: true);
    }

    public static void Delete(string file) => File.Delete(PathFor(file));

    /// <summary>A file's beginning, from which its checksums are.</summary>
    public static byte[] HeadOf(Stream file)
    {
        byte[] head = new byte[LimitHeadBytes];
        file.Position = 0;
        int read = file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        file.Position = 0;
        return head[..read];
    }

    /// <summary>This checkpoint, with how far the import has come.</summary>
    public Checkpoint At(long offset, long lines, long records, byte[] head)
    {
        int bytes = (int)Math.Min(offset, head.Length);
        return this with
        {
            Offset = offset,
            Lines = lines,
            Records = records,
            HeadBytes = bytes,
            HeadCrc = Crc32C.Compute(head.AsSpan(0, bytes)),
        };
    }

    /// <summary>True when a file with this beginning is still the one whose import was interrupted.</summary>
    public bool Fits(byte[] head, long fileBytes) =>
        Offset <= fileBytes && HeadCrc == Crc32C.Compute(head.AsSpan(0, Math.Min(HeadBytes, head.Length)));
}

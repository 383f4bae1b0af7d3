using System.Text.Json;
using Henge.Core;

namespace Henge.Cli;

/// <summary>
/// Where an import or export stands, beside its file, so that a later run can go on there. Written whole under another name and then renamed, so that it is
/// never half there.
/// </summary>
internal sealed record Checkpoint
{
    /// <summary>How much of a file's beginning is compared.</summary>
    private const int HeadBytes = 64 * 1024;

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
                json.WriteBase64String("continuation", Continuation.Span);
                json.WriteString("request", Request);
                json.WriteEndObject();
            }

            stream.Flush(flushToDisk: true);
        }

        File.Move(path + ".new", path, overwrite: true);
    }

    public static void Delete(string file) => File.Delete(PathFor(file));

    /// <summary>The checksum of a file's beginning: tells whether it is still the same file.</summary>
    public static uint HeadCrcOf(Stream file)
    {
        byte[] head = new byte[HeadBytes];
        file.Position = 0;
        int read = file.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        file.Position = 0;
        return Crc32C.Compute(head.AsSpan(0, read));
    }
}

using System.Text.Json;

namespace Henge.Server.Tests.Audit;

/// <summary>Reads audit logs as others would.</summary>
internal static class AuditLines
{
    /// <summary>All lines of all files of a log, in the order in which they were written. Each has to be a JSON object.</summary>
    public static List<JsonElement> Read(string path)
    {
        List<JsonElement> lines = [];
        foreach (string file in Files(path))
        {
            foreach (string line in Text(file).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                lines.Add(JsonDocument.Parse(line).RootElement);
            }
        }

        return lines;
    }

    /// <summary>All files of a log, the oldest first.</summary>
    public static string[] Files(string path) =>
    [
        .. Directory
            .GetFiles(Path.GetDirectoryName(path)!, Path.GetFileNameWithoutExtension(path) + "*")
            .OrderBy(static f => f.Length)
            .ThenBy(static f => f, StringComparer.Ordinal),
    ];

    public static string Text(string file)
    {
        using FileStream stream = new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using StreamReader reader = new(stream);
        string text = reader.ReadToEnd();

        // What is being written now.
        return text[..(text.LastIndexOf('\n') + 1)];
    }

    public static string? Field(this JsonElement line, string name) =>
        line.TryGetProperty(name, out JsonElement value) ? value.ToString() : null;
}

using System.Runtime.CompilerServices;
using Henge.Server.Hosting;

namespace Henge.Server.Tests.Hosting;

public sealed class ConfigurationDocsTests
{
    private const string Begin = "<!-- settings -->";
    private const string End = "<!-- end of settings -->";

    /// <summary>With HENGE_UPDATE_DOCS=1 it writes the page in place of judging it.</summary>
    [Fact]
    public void The_page_on_configuration_lists_every_setting_as_it_is()
    {
        string file = Path.Combine(Root(), "docs", "configuration.md");
        string page = File.ReadAllText(file);
        int begin = page.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length;
        int end = page.IndexOf(End, StringComparison.Ordinal);
        string table = "\n| Setting | Value | Default | What for |\n|---|---|---|---|\n" +
            string.Concat(ServerSettings.All.Select(s => $"| `{s.Name}` | {s.Form} | {s.Default} | {s.Description} |\n"));
        if (Environment.GetEnvironmentVariable("HENGE_UPDATE_DOCS") == "1")
        {
            File.WriteAllText(file, page[..begin] + table + page[end..]);
            return;
        }

        Assert.Equal(table, page[begin..end]);
    }

    private static string Root([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", ".."));
}

using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Henge.Server.Events;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Tests.Events;

/// <summary>The events in the code against the table of docs/events.md.</summary>
public sealed partial class EventDocsTests
{
    private const string Begin = "<!-- events -->";
    private const string End = "<!-- end of events -->";
    private const string Withdrawn = "<!-- withdrawn -->";
    private static readonly string File = Path.Combine(Root(), "docs", "events.md");

    internal static IReadOnlyList<(LoggerMessageAttribute Event, string Name, string Category)> All { get; } =
    [
        .. typeof(ServerEvents)
            .GetNestedTypes(BindingFlags.Public | BindingFlags.NonPublic)
            .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.NonPublic))
            .Select(method => (Event: method.GetCustomAttribute<LoggerMessageAttribute>(), Method: method))
            .Where(found => found.Event is not null)
            .Select(found => (
                found.Event!,
                found.Method.Name,
                (string)found.Method.DeclaringType!.GetField("Category")!.GetRawConstantValue()!))
            .OrderBy(found => found.Item1.EventId),
    ];

    [Fact]
    public void Each_event_has_an_id_of_its_own()
    {
        Assert.True(All.Count > 30);
        Assert.Equal(All.Select(e => e.Event.EventId).Distinct(), All.Select(e => e.Event.EventId));
        Assert.Equal(All.Select(e => e.Name).Distinct().Count(), All.Count);
        Assert.All(All, e => Assert.InRange(e.Event.EventId, 1001, 1999));
        Assert.Equal(All.Select(e => e.Category).Distinct(), ServerEvents.Categories);
    }

    /// <summary>With HENGE_UPDATE_DOCS=1 it writes the table in place of judging it; what is explained in its last column stays.</summary>
    [Fact]
    public void The_page_on_events_lists_each_event_as_it_is()
    {
        string page = System.IO.File.ReadAllText(File);
        int begin = page.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length;
        int end = page.IndexOf(End, StringComparison.Ordinal);
        Dictionary<string, string> explained = page[begin..end]
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Skip(2)
            .Select(static line => line.Trim('|').Split(" | "))
            .ToDictionary(static cells => cells[0].Trim(), static cells => cells[^1].Trim());
        string table = "\n| Id | Event | Category | Level | Message | What it means, and what to do |\n|---|---|---|---|---|---|\n"
            + string.Concat(All.Select(e => Row(e.Event, e.Name, e.Category, explained)));
        if (Environment.GetEnvironmentVariable("HENGE_UPDATE_DOCS") == "1")
        {
            System.IO.File.WriteAllText(File, page[..begin] + table + page[end..]);
            return;
        }

        Assert.Equal(table, page[begin..end]);
        Assert.All(explained, static row => Assert.True(row.Value.Length > 10, $"event {row.Key} is not explained"));
    }

    [Fact]
    public void Ids_that_were_withdrawn_are_not_used_again()
    {
        string page = System.IO.File.ReadAllText(File);
        string list = page[page.IndexOf(Withdrawn, StringComparison.Ordinal)..];
        HashSet<int> gone = [.. Number().Matches(list).Select(m => int.Parse(m.Value, CultureInfo.InvariantCulture))];
        Assert.DoesNotContain(All, e => gone.Contains(e.Event.EventId));
    }

    private static string Row(LoggerMessageAttribute e, string name, string category, Dictionary<string, string> explained)
    {
        string id = e.EventId.ToString(CultureInfo.InvariantCulture);
        return $"| {id} | {name} | {category} | {e.Level} | {e.Message} | {explained.GetValueOrDefault(id, "")} |\n";
    }

    private static string Root([CallerFilePath] string here = "") =>
        Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "..", "..", ".."));

    [GeneratedRegex(@"\b1\d{3}\b")]
    private static partial Regex Number();
}

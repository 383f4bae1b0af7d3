namespace Henge.Architecture.Tests;

/// <summary>
/// Finds which room knows which. A file knows another room when it imports its namespace, or names one of its types that it sees without an
/// import (from a namespace around its own, or by the end of the namespace's name: <c>Context.NodeOptions</c>).
/// </summary>
internal static class SourceArrows
{
    /// <summary>By project, and <c>projects</c> for those between projects: the arrows, each with a file and what it names there.</summary>
    public static IReadOnlyDictionary<string, SortedDictionary<Arrow, string>> Find(IReadOnlyList<SourceFile> files)
    {
        Dictionary<string, List<SourceFile>> byNamespace = files
            .Where(f => f.Namespace is not null)
            .GroupBy(f => f.Namespace!)
            .ToDictionary(g => g.Key, g => g.ToList());
        Dictionary<string, SortedDictionary<Arrow, string>> found = files
            .Select(f => f.Project)
            .Distinct()
            .Append("projects")
            .ToDictionary(p => p, _ => new SortedDictionary<Arrow, string>());

        void Note(SourceFile from, SourceFile to, string what)
        {
            if (from.Project != to.Project)
            {
                found["projects"].TryAdd(new Arrow(from.Project, to.Project), $"{from.Path} ({what})");
            }
            else if (from.Room != to.Room)
            {
                found[from.Project].TryAdd(new Arrow(from.Room, to.Room), $"{from.Path} ({what})");
            }
        }

        foreach (SourceFile file in files)
        {
            foreach ((string name, List<SourceFile> declaring) in byNamespace)
            {
                bool isImported =
                    file.Usings.Contains(name)
                    || file.Usings.Any(u => u.StartsWith(name + ".", StringComparison.Ordinal) && !byNamespace.ContainsKey(u));
                // Where a namespace is not yet one folder, its types tell which is meant.
                if (isImported && declaring.Select(f => f.ExpectedNamespace).Distinct().Count() == 1)
                {
                    Note(file, declaring[0], "using " + name);
                    continue;
                }

                bool isAround = file.Namespace is { } own && (own == name || own.StartsWith(name + ".", StringComparison.Ordinal));
                string last = name[(name.LastIndexOf('.') + 1)..];
                foreach (SourceFile to in declaring)
                {
                    foreach (string type in to.Types)
                    {
                        if (((isImported || isAround) && file.Names.Contains(("", type))) || file.Names.Contains((last, type)))
                        {
                            Note(file, to, type);
                        }
                    }
                }
            }
        }

        return found;
    }
}

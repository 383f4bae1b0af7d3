using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Henge.Architecture.Tests;

/// <summary>What a source file under <c>src</c> says of itself.</summary>
internal sealed class SourceFile
{
    /// <summary>The name of the room that is the project's own folder.</summary>
    public const string Root = "(root)";

    private SourceFile(string path, string project, string room, string text)
    {
        Path = path;
        Project = project;
        Room = room;
        CompilationUnitSyntax unit = CSharpSyntaxTree
            .ParseText(text, new CSharpParseOptions(LanguageVersion.Preview))
            .GetCompilationUnitRoot();
        BaseNamespaceDeclarationSyntax? declared = unit.Members.OfType<BaseNamespaceDeclarationSyntax>().FirstOrDefault();
        Namespace = declared?.Name.ToString();
        Usings = [.. unit.Usings.Where(u => u.Alias is null && u.Name is not null).Select(u => u.Name!.ToString()).Distinct()];
        Types = [.. (declared?.Members ?? unit.Members).Select(NameOf).OfType<string>().Distinct()];
        IsPublic = declared is not null && declared.Members.All(m => m.Modifiers.Any(SyntaxKind.PublicKeyword));
        // Names in usings count where they name a type: an alias, or a static import.
        Names = unit.DescendantNodes().OfType<SimpleNameSyntax>().Select(n => (QualifierOf(n), n.Identifier.Text)).ToHashSet();
    }

    /// <summary>Where it is, from the repository's root.</summary>
    public string Path { get; }

    /// <summary>Its project, such as <c>Henge.Node</c>.</summary>
    public string Project { get; }

    /// <summary>Its folder in the project, such as <c>Lsm/Tables</c>; <see cref="Root"/> for the project's own.</summary>
    public string Room { get; }

    /// <summary>Null in a program of top-level statements.</summary>
    public string? Namespace { get; }

    /// <summary>The namespaces that it imports.</summary>
    public IReadOnlyList<string> Usings { get; }

    /// <summary>The types that it declares, without those inside others.</summary>
    public IReadOnlyList<string> Types { get; }

    /// <summary>True when all types that it declares are public.</summary>
    public bool IsPublic { get; }

    /// <summary>All names that it uses, each with the last name of what qualifies it, or nothing.</summary>
    public IReadOnlySet<(string Qualifier, string Name)> Names { get; }

    /// <summary>The namespace that the folder asks for.</summary>
    public string ExpectedNamespace => Room == Root ? Project : Project + "." + Room.Replace('/', '.');

    /// <summary>All sources under <c>src</c>, without what is generated.</summary>
    public static IReadOnlyList<SourceFile> ReadAll()
    {
        string src = System.IO.Path.Combine(Repository.Root, "src");
        List<SourceFile> files = [];
        foreach (string path in Directory.EnumerateFiles(src, "*.cs", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
        {
            string[] parts = System.IO.Path.GetRelativePath(src, path).Split(System.IO.Path.DirectorySeparatorChar);
            if (!parts.Contains("obj") && !parts.Contains("bin"))
            {
                string room = parts.Length == 2 ? Root : string.Join('/', parts[1..^1]);
                files.Add(new SourceFile("src/" + string.Join('/', parts), parts[0], room, File.ReadAllText(path)));
            }
        }

        return files;
    }

    private static string? NameOf(MemberDeclarationSyntax member) => member switch
    {
        BaseTypeDeclarationSyntax type => type.Identifier.Text,
        DelegateDeclarationSyntax type => type.Identifier.Text,
        _ => null,
    };

    private static string QualifierOf(SimpleNameSyntax name)
    {
        SyntaxNode? qualifier = name.Parent switch
        {
            QualifiedNameSyntax q when q.Right == name => q.Left,
            MemberAccessExpressionSyntax m when m.Name == name => m.Expression,
            MemberBindingExpressionSyntax m => m.Parent,
            _ => null,
        };
        return qualifier is null
            ? ""
            : qualifier.DescendantNodesAndSelf().OfType<SimpleNameSyntax>().LastOrDefault()?.Identifier.Text ?? "?";
    }
}

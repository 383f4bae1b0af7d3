using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Emit;

namespace Henge.Mutation;

/// <summary>Compiles a project of <c>src/</c> with all its mutants in it.</summary>
internal static partial class MutatedAssembly
{
    private static readonly CSharpParseOptions Parsing = new(LanguageVersion.Latest);

    /// <summary>
    /// Writes the assembly over the one that is in a folder of built tests. What does not compile is dropped from the book.
    /// </summary>
    public static MutantBook Write(string projectFolder, string binFolder, IReadOnlyList<string> wanted)
    {
        string name = Path.GetFileName(projectFolder);
        string built = Path.Combine(projectFolder, "obj", "Release", "net10.0");
        string[] sources =
        [
            .. Directory.GetFiles(projectFolder, "*.cs", SearchOption.AllDirectories).Where(f => !IsBelow(projectFolder, f, "obj", "bin")),
        ];
        SyntaxTree[] originals = [.. sources.Select(Parse)];
        SyntaxTree[] fixedTrees =
        [
            Parse(Path.Combine(built, name + ".GlobalUsings.g.cs")),
            Parse(Path.Combine(built, name + ".AssemblyInfo.cs")),
            CSharpSyntaxTree.ParseText(MutantSwitch.Source, Parsing),
        ];
        CSharpCompilation original = CSharpCompilation.Create(
            name,
            [.. originals, .. fixedTrees],
            References(binFolder, name),
            new CSharpCompilationOptions(
                OutputKind.DynamicallyLinkedLibrary,
                optimizationLevel: OptimizationLevel.Release,
                allowUnsafe: true,
                nullableContextOptions: NullableContextOptions.Enable));
        MutantBook book = new(wanted, PlantedBugs(originals));
        while (true)
        {
            SyntaxTree[] mutated =
            [
                .. originals.Select(tree => CSharpSyntaxTree.Create(
                    (CSharpSyntaxNode)new MutantWriter(
                        Path.GetRelativePath(projectFolder, tree.FilePath), original.GetSemanticModel(tree), book).Visit(tree.GetRoot()),
                    Parsing,
                    tree.FilePath)),
            ];
            CSharpCompilation compilation = original.RemoveSyntaxTrees(originals).AddSyntaxTrees(mutated);
            using MemoryStream image = new();
            EmitResult result = compilation.Emit(image);
            if (result.Success)
            {
                File.WriteAllBytes(Path.Combine(binFolder, name + ".dll"), image.ToArray());
                return book;
            }

            Drop(book, result.Diagnostics);
        }
    }

    private static SyntaxTree Parse(string file) => CSharpSyntaxTree.ParseText(File.ReadAllText(file), Parsing, file);

    private static bool IsBelow(string root, string file, params string[] folders) =>
        folders.Contains(Path.GetRelativePath(root, file).Split(Path.DirectorySeparatorChar)[0]);

    private static IEnumerable<MetadataReference> References(string binFolder, string without) =>
        ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!)
            .Split(Path.PathSeparator)
            .Where(static f => f.Contains("Microsoft.NETCore.App", StringComparison.Ordinal))
            .Concat(Directory.GetFiles(binFolder, "Henge.*.dll").Where(f => Path.GetFileNameWithoutExtension(f) != without))
            .Select(static f => MetadataReference.CreateFromFile(f));

    private static HashSet<string> PlantedBugs(IEnumerable<SyntaxTree> trees) =>
    [
        .. trees
            .Where(static t => t.FilePath.EndsWith("PlantedBugs.cs", StringComparison.Ordinal))
            .SelectMany(static t => t.GetRoot().DescendantNodes().OfType<PropertyDeclarationSyntax>())
            .Select(static p => p.Identifier.Text),
    ];

    private static void Drop(MutantBook book, IReadOnlyList<Diagnostic> diagnostics)
    {
        bool dropped = false;
        foreach (Diagnostic error in diagnostics.Where(static d => d.Severity == DiagnosticSeverity.Error))
        {
            foreach (int id in Culprits(error))
            {
                dropped |= book.Drop(id);
            }
        }

        if (!dropped)
        {
            throw new InvalidOperationException(string.Join('\n', diagnostics.Where(static d => d.Severity == DiagnosticSeverity.Error)));
        }
    }

    /// <summary>
    /// The mutants to which an error is due: the innermost around it; else, within its member, those around what gives a value to a
    /// variable that the error names; else all of the member.
    /// </summary>
    private static IEnumerable<int> Culprits(Diagnostic error)
    {
        SyntaxNode? node = error.Location.SourceTree?.GetRoot().FindNode(error.Location.SourceSpan, getInnermostNodeForTie: true);
        for (SyntaxNode? at = node; at is not null; at = at.Parent)
        {
            if (MutantBook.Marked(at).Any())
            {
                return MutantBook.Marked(at);
            }

            if (at is MemberDeclarationSyntax)
            {
                string message = error.GetMessage(CultureInfo.InvariantCulture);
                HashSet<string> named = [.. Quoted().Matches(message).Select(static m => m.Groups[1].Value)];
                List<int> givers =
                [
                    .. at.DescendantNodes()
                        .Where(n => named.Contains(GivenName(n)))
                        .SelectMany(static n => n.AncestorsAndSelf().SelectMany(MutantBook.Marked).Concat(GuardedBy(n))),
                ];
                return givers.Count > 0 ? givers : MutantBook.AllMarked(at);
            }
        }

        return [];
    }

    /// <summary>The mutants of what a condition guards: without the return there, code behind it runs without the value.</summary>
    private static IEnumerable<int> GuardedBy(SyntaxNode node) =>
        node.Ancestors().OfType<IfStatementSyntax>().FirstOrDefault(statement => statement.Condition.Contains(node)) is { } guard
            ? MutantBook.AllMarked(guard.Statement)
            : [];

    /// <summary>The variable that a node gives a value to.</summary>
    private static string GivenName(SyntaxNode node) => node switch
    {
        SingleVariableDesignationSyntax designation => designation.Identifier.Text,
        AssignmentExpressionSyntax assignment => assignment.Left.ToString(),
        ArgumentSyntax { RefKindKeyword.RawKind: not 0 } argument => argument.Expression.ToString(),
        _ => "",
    };

    [GeneratedRegex("'(\\w+)'")]
    private static partial Regex Quoted();
}

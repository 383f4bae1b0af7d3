using System.Globalization;
using Microsoft.CodeAnalysis;

namespace Henge.Mutation;

/// <summary>
/// All mutants of a project. A place is known by its file, its span and what it becomes, so that numbers stay the same over attempts.
/// </summary>
/// <param name="wanted">Parts of the names of the files to mutate; all when there is none.</param>
/// <param name="plantedBugs">Names of the predicates by which bugs are planted.</param>
internal sealed class MutantBook(IReadOnlyList<string> wanted, IReadOnlySet<string> plantedBugs)
{
    private const string MarkKind = "mutant";
    private readonly Dictionary<(string File, int Start, int Length, string After), Mutant> _byPlace = [];
    private readonly HashSet<int> _dropped = [];

    /// <summary>Those that compile.</summary>
    public IEnumerable<Mutant> Mutants => _byPlace.Values.Where(m => !_dropped.Contains(m.Id));

    /// <summary>One above the largest number.</summary>
    public int Limit => _byPlace.Count + 1;

    /// <summary>How many do not compile.</summary>
    public int Dropped => _dropped.Count;

    /// <summary>Marks the node that holds a mutant.</summary>
    public static SyntaxAnnotation Mark(int id) => new(MarkKind, id.ToString(CultureInfo.InvariantCulture));

    /// <summary>The mutants that a node itself holds.</summary>
    public static IEnumerable<int> Marked(SyntaxNode node) =>
        node.GetAnnotations(MarkKind).Select(static a => int.Parse(a.Data!, CultureInfo.InvariantCulture));

    /// <summary>All mutants that a node and what is in it hold.</summary>
    public static IEnumerable<int> AllMarked(SyntaxNode node) => node.GetAnnotatedNodes(MarkKind).SelectMany(Marked);

    /// <summary>Gives a mutant its number; false when it is not wanted, or does not compile.</summary>
    public bool TryAdd(string file, SyntaxNode node, string after, out int id)
    {
        id = 0;
        if (wanted.Count > 0 && !wanted.Any(part => file.Contains(part, StringComparison.OrdinalIgnoreCase)))
        {
            return false;
        }

        var place = (file, node.SpanStart, node.Span.Length, after);
        if (!_byPlace.TryGetValue(place, out Mutant? mutant))
        {
            mutant = new Mutant(Limit, file, node.GetLocation().GetLineSpan().StartLinePosition.Line + 1, node.ToString(), after);
            _byPlace.Add(place, mutant);
        }

        id = mutant.Id;
        return !_dropped.Contains(id);
    }

    /// <summary>Leaves a mutant out from now on.</summary>
    public bool Drop(int id) => _dropped.Add(id);

    /// <summary>Whether an expression is the predicate of a planted bug.</summary>
    public bool IsPlantedBug(SyntaxNode node) => plantedBugs.Contains(node.ToString().TrimStart('!'));
}

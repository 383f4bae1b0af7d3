using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Henge.Core;

/// <summary>
/// Always-on assertions of the core. A broken invariant means that memory no longer says the truth, and going on could
/// write the lie to disk: so the process ends. The simulator replaces <see cref="Failed"/> to turn it into a finding.
/// </summary>
public static class Invariant
{
    /// <summary>What happens when an invariant is broken; it must not return. By default the process ends at once.</summary>
    public static Action<string> Failed { get; set; } = static message => Environment.FailFast("Henge invariant broken: " + message);

    /// <summary>Ends the process when <paramref name="condition"/> is false.</summary>
    public static void Check(
        [DoesNotReturnIf(false)] bool condition,
        string? detail = null,
        [CallerArgumentExpression(nameof(condition))] string expression = "",
        [CallerMemberName] string member = "")
    {
        if (!condition)
        {
            Fail(detail, expression, member);
        }
    }

    [DoesNotReturn]
    private static void Fail(string? detail, string expression, string member)
    {
        Failed($"{expression} in {member}{(detail is null ? "" : ": " + detail)}");
        throw new InvalidOperationException($"{expression} in {member}: {detail}");
    }
}

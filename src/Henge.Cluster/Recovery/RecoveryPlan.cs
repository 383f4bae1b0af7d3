using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Henge.Core;

namespace Henge.Cluster.Recovery;

/// <summary>
/// What is done about a cluster that has lost majorities for ever, as one text that says all of it (docs/formats.md, "Recovery plan"), and
/// whose hash is its name: what an operator was shown is what is done, or nothing is. Immutable.
/// </summary>
public sealed class RecoveryPlan
{
    /// <summary>The longest text.</summary>
    public const int MaxTextLength = 16 * 1024 * 1024;

    private const string FirstLine = "henge-recovery 1";
    private const int IdBytes = 6;

    /// <summary>Creates a plan.</summary>
    public RecoveryPlan(
        string clusterId,
        IEnumerable<RecoveryMember> survivors,
        IEnumerable<RecoveryMember> lost,
        IEnumerable<RecoveryStep> steps)
    {
        ClusterId = clusterId;
        Survivors = [.. survivors.OrderBy(static m => m.Id)];
        Lost = [.. lost.OrderBy(static m => m.Id)];
        Steps = [.. steps.OrderBy(static s => s.Shard)];
        Text = ToText();
        Id = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Text)).AsSpan(0, IdBytes));
    }

    /// <summary>Which cluster.</summary>
    public string ClusterId { get; }

    /// <summary>Who is left, and does it.</summary>
    public IReadOnlyList<RecoveryMember> Survivors { get; }

    /// <summary>Who is gone, and is never listened to again.</summary>
    public IReadOnlyList<RecoveryMember> Lost { get; }

    /// <summary>What is done, by shard; the catalog's comes first when it is done.</summary>
    public IReadOnlyList<RecoveryStep> Steps { get; }

    /// <summary>All of it.</summary>
    public string Text { get; }

    /// <summary>Its name: the beginning of its text's SHA-256.</summary>
    public string Id { get; }

    /// <summary>Reads what <see cref="Text"/> gave; null when it makes no sense.</summary>
    public static RecoveryPlan? Parse(string text)
    {
        string[] lines = text.Length > MaxTextLength ? [] : text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length < 2 || lines[0] != FirstLine || !lines[1].StartsWith("cluster ", StringComparison.Ordinal))
        {
            return null;
        }

        List<RecoveryMember> survivors = [], lost = [];
        List<RecoveryStep> steps = [];
        foreach (string line in lines.Skip(2))
        {
            string[] words = line.Split(' ');
            if (words is ["survivor", var id, var incarnation, var survivor]
                && ulong.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number)
                && ulong.TryParse(incarnation, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong directory))
            {
                survivors.Add(new RecoveryMember(new NodeId(number), survivor, directory));
            }
            else if (words is ["lost", var gone, var name]
                && ulong.TryParse(gone, NumberStyles.None, CultureInfo.InvariantCulture, out number))
            {
                lost.Add(new RecoveryMember(new NodeId(number), name));
            }
            else if (words is ["shard" or "empty", ..] && ParseStep(words) is { } step)
            {
                steps.Add(step);
            }
            else
            {
                return null;
            }
        }

        RecoveryPlan plan = new(lines[1]["cluster ".Length..], survivors, lost, steps);
        return plan.Text == text ? plan : null;
    }

    private static RecoveryStep? ParseStep(string[] words)
    {
        ulong[] numbers = new ulong[words.Length - 1];
        for (int i = 0; i < numbers.Length; i++)
        {
            if (!ulong.TryParse(words[i + 1], NumberStyles.None, CultureInfo.InvariantCulture, out numbers[i]))
            {
                return null;
            }
        }

        return numbers is [<= uint.MaxValue and var shard, var best, var term, var last, var lastTerm, var version, .. var learners]
            ? new RecoveryStep
            {
                Shard = new ShardId((uint)shard),
                Best = new NodeId(best),
                Term = new Term(term),
                Last = new LogIndex(last),
                LastTerm = new Term(lastTerm),
                KeptVersion = new Core.Version(version),
                Learners = [.. learners.Select(static id => new NodeId(id))],
                IsEmpty = words[0] == "empty",
            }
            : null;
    }

    private string ToText()
    {
        StringBuilder text = new();
        text.Append(FirstLine).Append('\n').Append("cluster ").Append(ClusterId).Append('\n');
        foreach (RecoveryMember member in Survivors)
        {
            text.Append(CultureInfo.InvariantCulture, $"survivor {member.Id.Value} {member.Incarnation:x16} {member.Name}\n");
        }

        foreach (RecoveryMember member in Lost)
        {
            text.Append(CultureInfo.InvariantCulture, $"lost {member.Id.Value} {member.Name}\n");
        }

        foreach (RecoveryStep step in Steps)
        {
            text.Append(step.IsEmpty ? "empty" : "shard");
            ulong[] numbers =
            [
                step.Shard.Value, step.Best.Value, step.Term.Value, step.Last.Value, step.LastTerm.Value, step.KeptVersion.Value,
                .. step.Learners.Order().Select(static id => id.Value),
            ];
            foreach (ulong number in numbers)
            {
                text.Append(CultureInfo.InvariantCulture, $" {number}");
            }

            text.Append('\n');
        }

        return text.ToString();
    }
}

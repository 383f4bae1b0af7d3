using System.Text;
using Henge.Core;
using Henge.Node.Access;

namespace Henge.Server.Audit;

/// <summary>Which use of which keys is audited. Thread-safe.</summary>
internal sealed class KeyRules(IEnumerable<AuditRule> rules)
{
    private readonly (Permissions Use, byte[] Prefix, byte[] End)[] _rules =
    [
        .. rules.Select(static rule => (
            ((rule.Access & AuditedAccess.Read) != 0 ? Permissions.Read : 0)
                | ((rule.Access & AuditedAccess.Write) != 0 ? Permissions.Write : 0),
            Encoding.UTF8.GetBytes(rule.Prefix),
            KeyRange.EndOfPrefix(Encoding.UTF8.GetBytes(rule.Prefix)))),
    ];

    /// <summary>Whether a use of a key is audited.</summary>
    public bool Has(Permissions use, ReadOnlySpan<byte> key)
    {
        foreach ((Permissions audited, byte[] prefix, _) in _rules)
        {
            if ((audited & use) != 0 && key.StartsWith(prefix))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether reading from a key up to another (empty: to the end) may touch what is audited.</summary>
    public bool HasRange(ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper)
    {
        foreach ((Permissions audited, byte[] prefix, byte[] end) in _rules)
        {
            if (
                (audited & Permissions.Read) != 0
                && (end.Length == 0 || lower.SequenceCompareTo(end) < 0)
                && (upper.IsEmpty || upper.SequenceCompareTo(prefix) > 0))
            {
                return true;
            }
        }

        return false;
    }
}

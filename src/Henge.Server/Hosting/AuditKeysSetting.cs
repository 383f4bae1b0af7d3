using Henge.Server.Audit;

namespace Henge.Server.Hosting;

/// <summary>Reads the setting <c>audit-keys</c>: <c>read:orders/,all:users/</c>. Pure functions.</summary>
internal static class AuditKeysSetting
{
    private const int Most = 100;

    private const string Form =
        "a list with commas between of read:PREFIX, write:PREFIX or all:PREFIX, such as write:orders/,all:users/ (all: alone is every key)";

    /// <summary>The rules. Throws <see cref="FormatException"/> with what is allowed.</summary>
    public static IReadOnlyList<AuditRule> Read(string text)
    {
        List<AuditRule> rules = [];
        foreach (string part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            int colon = part.IndexOf(':', StringComparison.Ordinal);
            AuditedAccess? access = (colon < 0 ? part : part[..colon]) switch
            {
                "read" => AuditedAccess.Read,
                "write" => AuditedAccess.Write,
                "all" => AuditedAccess.All,
                _ => null,
            };
            if (access is null || colon < 0)
            {
                throw new FormatException($"{Form}; \"{part}\" is none");
            }

            AuditRule rule = new(access.Value, part[(colon + 1)..]);
            if (!rules.Contains(rule))
            {
                rules.Add(rule);
            }
        }

        return rules.Count switch
        {
            0 => Array.Empty<AuditRule>(),
            <= Most => rules,
            _ => throw new FormatException($"{Form}, {Most} of them at most"),
        };
    }
}

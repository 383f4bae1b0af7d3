namespace Henge.Server.Audit;

/// <summary>What of a key's use is audited.</summary>
[Flags]
public enum AuditedAccess
{
    /// <summary>Gets, scans, histories, watches, and what of a write tells of values.</summary>
    Read = 1,
    /// <summary>What changes or deletes.</summary>
    Write = 2,
    /// <summary>Both.</summary>
    All = Read | Write,
}

namespace Henge.Server.Audit;

/// <summary>Which use of which keys is audited.</summary>
/// <param name="Access">The use.</param>
/// <param name="Prefix">Of keys that begin with this text, in UTF-8; empty: of all.</param>
public readonly record struct AuditRule(AuditedAccess Access, string Prefix);

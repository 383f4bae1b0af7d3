namespace Henge.Server.Audit;

/// <summary>The audit log: where it is, and what is in it beside changes of access and the cluster.</summary>
public sealed record AuditOptions
{
    /// <summary>The file; empty: there is none, and what would be in it is in the ordinary log only.</summary>
    public string Path { get; init; } = "";

    /// <summary>From how many bytes on another file is begun.</summary>
    public long FileBytes { get; init; } = 64L << 20;

    /// <summary>How many files are kept, the one that is written among them.</summary>
    public int Files { get; init; } = 16;

    /// <summary>Whose use is audited; empty: that of no key.</summary>
    public IReadOnlyList<AuditRule> Keys { get; init; } = [];

    /// <summary>One operation in so many is audited; those that are refused for want of a permission all are.</summary>
    public int KeysSample { get; init; } = 1;
}

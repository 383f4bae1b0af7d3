namespace Henge.Server.Audit;

/// <summary>A line of the audit log on its way to the file.</summary>
/// <param name="Name">What happened, in one word.</param>
/// <param name="Template">A sentence over the fields, as message templates are.</param>
/// <param name="Fields">The fields; values are texts and numbers.</param>
internal sealed record AuditLine(string Name, string Template, (string Name, object? Value)[] Fields)
{
    /// <summary>When it happened.</summary>
    public DateTimeOffset Time { get; set; }

    /// <summary>Its number, from 1 on in each run of a node.</summary>
    public long Sequence { get; set; }

    /// <summary>How many lines with the numbers right before it were lost.</summary>
    public long LostBefore { get; set; }
}

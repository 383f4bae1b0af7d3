using System.Net;
using Henge.Core;
using Henge.Node.Api;

namespace Henge.Server.Audit;

/// <summary>
/// Whoever uses keys by one connection or call, as the audit log names it. An observer of all its operations. Thread-safe.
/// </summary>
/// <param name="audit">What tells of it.</param>
/// <param name="door">The door that it came by.</param>
/// <param name="from">Where it is; null: not known.</param>
internal sealed class AuditedCaller(KeyAudit audit, string door, EndPoint? from) : IOperationObserver
{
    private string? _address;

    /// <summary>The door that it came by.</summary>
    public string Door => door;

    /// <summary>Where it is; empty: not known.</summary>
    public string Address => _address ??= from?.ToString() ?? "";

    /// <inheritdoc/>
    public void OnCompleting(Operation operation) => audit.Tell(this, operation);

    /// <summary>A page was read, or was not.</summary>
    public void OnPage(string? user, PageFetch page, ErrorCode outcome) => audit.TellPage(this, user, page, outcome);

    /// <summary>A watch was opened, or was not. True: its end is to be told.</summary>
    public bool OnWatch(string? user, WatchQuery query, ErrorCode outcome) => audit.TellWatch(this, user, query, outcome);

    /// <summary>A watch has ended.</summary>
    public void OnWatchEnd(string? user, WatchQuery query, ErrorCode outcome) => audit.TellWatchEnd(this, user, query, outcome);
}

using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Server.Access;
using Henge.Server.Audit;

namespace Henge.Server.Operations;

/// <summary>
/// A watch that ends when whoever opened it may not watch any more: at the next event, and also when there is none, for it is woken by the
/// change. One reader at a time.
/// </summary>
internal sealed class GuardedWatch(
    IAccessControl access,
    WatchQuery query,
    Action onAvailable,
    Caller? caller = null,
    AuditedCaller? audited = null) : IWatch
{
    private IWatch? _inner;

    // Of which it is known that it may.
    private AccessView? _checked;
    private bool _disposed;

    // Of its audit: whether its end is to be told, and what that is.
    private bool _isTold;
    private ErrorCode _outcome;

    /// <inheritdoc/>
    public byte[] ResumeToken => _inner!.ResumeToken;

    /// <summary>Opens it. Throws what <see cref="IHengeNode.OpenWatch"/> throws, Unauthenticated and PermissionDenied.</summary>
    public void Open(IHengeNode node)
    {
        try
        {
            Check();
            Asker asker = caller?.ToAsker(access.Access) ?? query.Asker;
            _inner = node.OpenWatch(query with { Asker = asker with { CheckedAt = _checked!.Revision } }, onAvailable);
        }
        catch (HengeException e)
        {
            audited?.OnWatch(UserIn(access.Access), query, e.Code);
            throw;
        }

        _isTold = audited is not null && audited.OnWatch(UserIn(access.Access), query, ErrorCode.None);

        // What changes from here on wakes it; what has changed before is seen by the next look.
        access.AccessChanged += onAvailable;
    }

    /// <inheritdoc/>
    public bool TryOpen()
    {
        Check();
        return _inner!.TryOpen();
    }

    /// <inheritdoc/>
    public bool TryRead(IWatchReceiver receiver, int limitItems, int limitBytes)
    {
        Check();
        return _inner!.TryRead(receiver, limitItems, limitBytes);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            access.AccessChanged -= onAvailable;
            _inner?.Dispose();
            if (_isTold)
            {
                audited!.OnWatchEnd(UserIn(access.Access), query, _outcome);
            }
        }
    }

    private void Check()
    {
        AccessView view = access.Access;
        if (view == _checked && caller?.Login is not { ExpiresAtUnixMs: not 0 })
        {
            return;
        }

        if (view.IsEnabled && AccessCheck.CheckWatch(view, UserIn(view), query) is { } problem)
        {
            _outcome = problem.Code;
            throw problem;
        }

        _checked = view;
    }

    private string? UserIn(AccessView view) => !view.IsEnabled ? null : caller is null ? query.Asker.User : caller.UserIn(view);
}

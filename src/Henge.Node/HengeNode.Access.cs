using Henge.Core;
using Henge.Node.Access;

namespace Henge.Node;

/// <content>Who may do what.</content>
public sealed partial class HengeNode
{
    /// <inheritdoc/>
    public event Action? AccessChanged;

    /// <inheritdoc/>
    public AccessView Access => _parts.Members.Access;

    /// <inheritdoc/>
    public void ChangeAccess(AccessChange change, long deadlineMs, Action<HengeException?> ended) =>
        _parts.Members.ChangeAccess(change, deadlineMs, ended);

    private void OnAccessChanged() => AccessChanged?.Invoke();
}

using Henge.Node.Api;

namespace Henge.Node;

// What can be done after majorities are lost for ever (docs/decisions/0200-when-a-majority-is-lost.md).
public sealed partial class HengeNode
{
    /// <inheritdoc/>
    public IClusterRecovery Recovery => _parts.Recovery;
}

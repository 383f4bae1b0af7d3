using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>How a page ended.</summary>
/// <param name="Items">Items given to the receiver.</param>
/// <param name="More">True when there is more behind the page.</param>
/// <param name="NextKey">Where the next page begins: the Lower of a forward scan, the Upper of a reverse one.</param>
/// <param name="Applied">For the history of a key: whatever was written up to this version was seen.</param>
public readonly record struct ScanEnd(int Items, bool More, byte[]? NextKey, Core.Version Applied = default);

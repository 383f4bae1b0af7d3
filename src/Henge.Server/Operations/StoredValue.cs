using Henge.Storage;

namespace Henge.Server.Operations;

/// <summary>
/// A value that was read, in memory of its own: a caller that is slow to take it does not keep a block of the engine pinned.
/// </summary>
/// <param name="Bytes">The value.</param>
/// <param name="Version">The version that wrote it.</param>
/// <param name="ExpiresAtMs">When it expires, in milliseconds since the epoch of versions; 0: never.</param>
/// <param name="Type">What it is.</param>
internal sealed record StoredValue(byte[] Bytes, Core.Version Version, long ExpiresAtMs, DataType Type);

using Henge.Core;

namespace Henge.Client;

/// <summary>A field of a hash.</summary>
/// <param name="Field">Its name.</param>
/// <param name="Value">Its value.</param>
public readonly record struct HashField(ReadOnlyMemory<byte> Field, ReadOnlyMemory<byte> Value);

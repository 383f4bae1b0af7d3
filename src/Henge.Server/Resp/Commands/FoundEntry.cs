using Henge.Storage;

namespace Henge.Server.Resp.Commands;

/// <summary>What a read found of one key.</summary>
internal readonly ref struct FoundEntry(ReadOnlySpan<byte> value, long expiresAtMs, DataType type)
{
    public bool Exists { get; } = true;

    public ReadOnlySpan<byte> Value { get; } = value;

    public long ExpiresAtMs { get; } = expiresAtMs;

    public DataType Type { get; } = type;

    /// <summary>True when there is a value and it is of another type.</summary>
    public bool IsOther(DataType? wanted) => Exists && wanted is { } w && w != Type;
}

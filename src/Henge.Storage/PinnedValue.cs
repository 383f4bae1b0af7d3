namespace Henge.Storage;

/// <summary>
/// A value in the engine's own memory (a memtable's arena, a cached block), pinned until disposed of. A struct, so that a read allocates
/// nothing: do not copy it, dispose of it exactly once, and soon.
/// </summary>
public readonly unsafe struct PinnedValue : IDisposable
{
    private readonly IPinOwner? _owner;
    private readonly nint _token;
    private readonly byte* _pointer;
    private readonly int _length;

    /// <summary>Pins <paramref name="length"/> bytes at a pointer until <see cref="Dispose"/> calls the owner.</summary>
    public PinnedValue(
        IPinOwner? owner,
        nint token,
        byte* pointer,
        int length,
        Core.Version version,
        long expiresAtMs,
        DataType type = DataType.Bytes)
    {
        _owner = owner;
        _token = token;
        _pointer = pointer;
        _length = length;
        Version = version;
        ExpiresAtMs = expiresAtMs;
        Type = type;
    }

    /// <summary>The bytes.</summary>
    public ReadOnlySpan<byte> Span => new(_pointer, _length);

    /// <summary>The version that wrote it.</summary>
    public Core.Version Version { get; }

    /// <summary>When it expires, in milliseconds since the epoch of versions; 0 if never.</summary>
    public long ExpiresAtMs { get; }

    /// <summary>What the value is.</summary>
    public DataType Type { get; }

    /// <inheritdoc/>
    public void Dispose() => _owner?.Unpin(_token);
}

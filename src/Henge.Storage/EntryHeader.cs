namespace Henge.Storage;

/// <summary>
/// The 8 bytes before a stored value that has a type or an end: the low 56 bits are the moment at which it ends, in milliseconds since the
/// epoch of versions (0: never), the high 8 bits its <see cref="DataType"/>. So a type is never a matter of what the value's bytes look
/// like. Pure functions.
/// </summary>
public static class EntryHeader
{
    private const int TypeShift = 56;

    /// <summary>Bytes of a header.</summary>
    public const int Bytes = sizeof(long);

    /// <summary>The latest moment that there is room for: some 2.2 million years.</summary>
    public const long MaxExpiresAtMs = (1L << TypeShift) - 1;

    /// <summary>True for kinds whose stored value begins with a header.</summary>
    public static bool IsIn(EntryKind kind) => kind >= EntryKind.PutExpiring;

    /// <summary>Joins both; the moment is 0 to <see cref="MaxExpiresAtMs"/>.</summary>
    public static long Join(DataType type, long expiresAtMs) => expiresAtMs | ((long)type << TypeShift);

    /// <summary>The moment at which the value ends; 0 for never.</summary>
    public static long ExpiresAtMs(long header) => header & MaxExpiresAtMs;

    /// <summary>The type.</summary>
    public static DataType Type(long header) => (DataType)((ulong)header >> TypeShift);

    /// <summary>True when a value with this header can be seen at a moment.</summary>
    public static bool IsAlive(long header, long nowMs) => ExpiresAtMs(header) is var end && (end == 0 || end > nowMs);
}

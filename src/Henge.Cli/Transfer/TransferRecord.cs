namespace Henge.Cli;

/// <summary>One key with its value, in a file of an import or export.</summary>
/// <param name="Key">The key.</param>
/// <param name="Value">The value.</param>
/// <param name="TtlMs">Milliseconds until it expires; 0: never. What would end after 2094 ends there.</param>
internal readonly record struct TransferRecord(ReadOnlyMemory<byte> Key, ReadOnlyMemory<byte> Value, long TtlMs);

/// <summary>The forms of files.</summary>
internal enum TransferFormat
{
    /// <summary>A JSON object a line.</summary>
    JsonLines,

    /// <summary>Key, tab, value.</summary>
    TabSeparated,
}

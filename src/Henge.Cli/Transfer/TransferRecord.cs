using Henge.Client;

namespace Henge.Cli.Transfer;

/// <summary>One key with its value, in a file of an import or export.</summary>
/// <param name="Key">The key.</param>
/// <param name="Value">The value.</param>
/// <param name="TtlMs">Milliseconds until it expires; 0: never. What would end after 2094 ends there.</param>
/// <param name="Type">What the value is.</param>
internal readonly record struct TransferRecord(
    ReadOnlyMemory<byte> Key,
    ReadOnlyMemory<byte> Value,
    long TtlMs,
    DataType Type = DataType.Bytes)
{
    /// <summary>
    /// The form of a record whose value is not bytes; it is written into the record. Records without a form are of the first one, in which
    /// all values are bytes.
    /// </summary>
    public const int TypedFormat = 2;
}

/// <summary>The forms of files.</summary>
internal enum TransferFormat
{
    /// <summary>A JSON object a line.</summary>
    JsonLines,

    /// <summary>Key, tab, value.</summary>
    TabSeparated,
}

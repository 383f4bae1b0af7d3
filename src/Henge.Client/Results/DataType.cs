using Henge.Core;

namespace Henge.Client;

/// <summary>What a value is.</summary>
public enum DataType
{
    /// <summary>Bytes.</summary>
    Bytes = 0,

    /// <summary>
    /// A hash: fields with values, as the commands of Redis write them. <see cref="HashValue"/> reads and makes its bytes.
    /// </summary>
    Hash = 1,
}

namespace Henge.Storage;

/// <summary>What a value is. The numbers are on disk and on the wire: never change one.</summary>
public enum DataType : byte
{
    /// <summary>Bytes, whatever they mean to their owner.</summary>
    Bytes = 0,
    /// <summary>A hash: fields with values, in the owner's encoding.</summary>
    Hash = 1,
}

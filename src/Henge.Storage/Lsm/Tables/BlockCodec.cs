namespace Henge.Storage.Lsm.Tables;

/// <summary>How a block is stored. The numbers are on disk: never change one.</summary>
internal enum BlockCodec : byte
{
    /// <summary>As it is.</summary>
    None = 0,
    /// <summary>Brotli (RFC 7932) at a fast quality.</summary>
    Brotli = 1,
}

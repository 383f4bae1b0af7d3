using Henge.Storage;

namespace Henge.Server.Operations;

/// <summary>What the value of an entry is.</summary>
internal static class EntryType
{
    /// <summary>The type by the kind of entry that a scan gives: the only type besides bytes is the hash.</summary>
    public static DataType Of(EntryKind kind) => kind == EntryKind.PutTyped ? DataType.Hash : DataType.Bytes;
}

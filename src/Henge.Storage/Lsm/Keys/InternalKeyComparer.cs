namespace Henge.Storage.Lsm.Keys;

/// <summary>Orders arrays that hold internal keys.</summary>
internal sealed class InternalKeyComparer : IComparer<byte[]>
{
    public static InternalKeyComparer Instance { get; } = new();

    public int Compare(byte[]? x, byte[]? y) => InternalKey.Compare(x, y);
}

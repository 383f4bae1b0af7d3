namespace Henge.Storage.Bitcask.Segments;

/// <summary>Where an entry lies: a segment and an offset in its file, as one word, so that it is replaced in one store.</summary>
internal readonly record struct EntryAddress(ulong Value)
{
    public EntryAddress(uint segment, uint offset)
        : this(((ulong)segment << 32) | offset)
    {
    }

    public uint Segment => (uint)(Value >> 32);

    public uint Offset => (uint)Value;
}

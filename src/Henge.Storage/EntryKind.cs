namespace Henge.Storage;

/// <summary>What an entry is. The numbers are on disk: never change one.</summary>
public enum EntryKind : byte
{
    /// <summary>A tombstone: from this version on the key is not there.</summary>
    Delete = 0,
    /// <summary>A value.</summary>
    Put = 1,
    /// <summary>A value that ends at a moment (stored as 8 bytes of milliseconds before the value).</summary>
    PutExpiring = 2,
    /// <summary>
    /// A value with a type of its own, and maybe an end (stored as 8 bytes before the value, see <see cref="EntryHeader"/>).
    /// </summary>
    PutTyped = 3,
}

using Henge.Core;

namespace Henge.Node.Context;

/// <summary>
/// Something for each member, by its number. Grows with the numbers that are asked for, and never moves what it holds: a reference into it
/// stays good. As safe between threads as what it holds is.
/// </summary>
/// <typeparam name="T">What there is for each member; its default until something else is put there.</typeparam>
internal sealed class MemberMap<T>
{
    private const int ChunkLength = 32;
    private readonly T[]?[] _chunks = new T[]?[(MemberTable.MostIds / ChunkLength) + 1];

    /// <summary>The place of a member; of a number that no member can have, an error.</summary>
    public ref T this[NodeId id]
    {
        get
        {
            ulong chunk = id.Value / ChunkLength;
            if (id.Value > MemberTable.MostIds)
            {
                throw new HengeException(
                    ErrorCode.InvalidArgument,
                    $"There is no member {id}: numbers go up to {MemberTable.MostIds}.");
            }

            return ref (Volatile.Read(ref _chunks[chunk]) ?? Add(chunk))[id.Value % ChunkLength];
        }
    }

    private T[] Add(ulong chunk)
    {
        var made = new T[ChunkLength];
        return Interlocked.CompareExchange(ref _chunks[chunk], made, null) ?? made;
    }
}

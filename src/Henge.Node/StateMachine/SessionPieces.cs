namespace Henge.Node.StateMachine;

/// <summary>A run of <see cref="SessionPieces.Records"/> results inside a larger array.</summary>
/// <param name="Slab">The array.</param>
/// <param name="Offset">Where the run begins.</param>
internal readonly record struct SessionPiece(SessionRecord[] Slab, int Offset);

/// <summary>
/// Room for the results of a shard's sessions, in pieces that are cut out of large arrays and used again. The collector does not move
/// arrays of this size, and nothing is allocated once windows are full. What was once taken is kept until <see cref="Reset"/>; the session
/// table's limits bound it. Not thread-safe; for the worker.
/// </summary>
internal sealed class SessionPieces
{
    public const int Shift = 5;

    /// <summary>Results in a piece.</summary>
    public const int Records = 1 << Shift;

    // 128 KiB an array: above 85,000 bytes the runtime puts it where it is not moved.
    private const int PiecesPerSlab = 128;

    private readonly Stack<SessionPiece> _free = new();
    private SessionRecord[] _slab = [];
    private int _used;

    /// <summary>A piece that is not in use. Its content is undefined.</summary>
    public SessionPiece Rent()
    {
        if (_free.TryPop(out SessionPiece piece))
        {
            return piece;
        }

        if (_used == _slab.Length)
        {
            _slab = GC.AllocateUninitializedArray<SessionRecord>(PiecesPerSlab * Records);
            _used = 0;
        }

        piece = new SessionPiece(_slab, _used);
        _used += Records;
        return piece;
    }

    /// <summary>Takes a piece back. The caller must not use it any more.</summary>
    public void Return(SessionPiece piece) => _free.Push(piece);

    /// <summary>Gives up all memory: no session has a piece any more.</summary>
    public void Reset()
    {
        _free.Clear();
        _slab = [];
        _used = 0;
    }
}

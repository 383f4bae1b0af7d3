namespace Henge.Server.Resp;

/// <summary>
/// Where SCANs go on. Redis's cursors are numbers, Henge's are keys; so the node remembers the keys under numbers, the latest 16,384 of them.
/// Thread-safe.
/// </summary>
internal sealed class ScanCursors
{
    private const int Kept = 16_384;
    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, byte[]> _keys = [];
    private readonly Queue<ulong> _order = new();
    private ulong _last;

    /// <summary>Remembers a key and gives its number, which is never 0.</summary>
    public ulong Add(byte[] key)
    {
        lock (_gate)
        {
            if (_order.Count == Kept)
            {
                _keys.Remove(_order.Dequeue());
            }

            _keys[++_last] = key;
            _order.Enqueue(_last);
            return _last;
        }
    }

    /// <summary>The key of a number; false when it is not known (any more).</summary>
    public bool TryGet(ulong cursor, out byte[] key)
    {
        lock (_gate)
        {
            return _keys.TryGetValue(cursor, out key!);
        }
    }
}

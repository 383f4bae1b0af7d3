using System.Runtime.InteropServices;
using Henge.Core;

namespace Henge.Node.Workers;

/// <summary>What a forwarded write is to the ones before it.</summary>
internal enum ForwardOrder : byte
{
    /// <summary>It comes for the first time, behind all others of its shard that were sent before it and came.</summary>
    Next,
    /// <summary>It comes for the first time, but a later one of its shard came before it.</summary>
    Overtaken,
    /// <summary>It has come before.</summary>
    Repeated,
}

/// <summary>
/// Which forwarded writes have been taken in already: a transport may repeat a frame, and a write without a session must not take effect
/// twice for that. A request's number is <c>stream (24 bits, random for each start of a sending worker) | counter (40 bits)</c>; of each
/// stream the last 65,536 numbers are remembered, as a sliding window of bits (the idea of IPsec's replay protection, RFC 4303 appendix
/// A2). What is older counts as repeated. Tells also when a write comes behind a later one of the same shard: on another connection, say,
/// that was opened when the first one broke. Belongs to a worker.
/// </summary>
internal sealed class ForwardWindow
{
    /// <summary>Bits of the counter.</summary>
    public const int CounterBits = 40;

    private const int Bits = 65_536;
    private const int Streams = 64;
    private readonly Dictionary<(NodeId From, ulong Stream), Window> _windows = [];
    private readonly Queue<(NodeId From, ulong Stream)> _order = new();

    /// <summary>What a number that comes is.</summary>
    public ForwardOrder Take(NodeId from, ulong request, ShardId shard)
    {
        (NodeId, ulong) key = (from, request >> CounterBits);
        if (!_windows.TryGetValue(key, out Window? window))
        {
            if (_order.Count == Streams)
            {
                _windows.Remove(_order.Dequeue());
            }

            _windows.Add(key, window = new Window());
            _order.Enqueue(key);
        }

        return window.Take((long)(request & ((1UL << CounterBits) - 1)), shard);
    }

    private sealed class Window
    {
        private readonly ulong[] _seen = new ulong[Bits / 64];
        private readonly Dictionary<ShardId, long> _highestOfShard = [];
        private long _highest = -1;

        public ForwardOrder Take(long counter, ShardId shard)
        {
            if (!TryTake(counter))
            {
                return ForwardOrder.Repeated;
            }

            ref long highest = ref CollectionsMarshal.GetValueRefOrAddDefault(_highestOfShard, shard, out bool known);
            if (known && counter < highest)
            {
                return ForwardOrder.Overtaken;
            }

            highest = counter;
            return ForwardOrder.Next;
        }

        private bool TryTake(long counter)
        {
            if (counter > _highest)
            {
                // What the window moves over is forgotten; a jump over all of it forgets everything.
                for (long i = Math.Max(_highest + 1, counter - Bits + 1); i <= counter; i++)
                {
                    _seen[(i % Bits) >> 6] &= ~(1UL << (int)(i & 63));
                }

                _highest = counter;
            }
            else if (counter <= _highest - Bits || (_seen[(counter % Bits) >> 6] >> (int)(counter & 63) & 1) != 0)
            {
                return false;
            }

            _seen[(counter % Bits) >> 6] |= 1UL << (int)(counter & 63);
            return true;
        }
    }
}

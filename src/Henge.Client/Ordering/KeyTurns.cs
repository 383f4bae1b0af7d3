namespace Henge.Client.Ordering;

/// <summary>
/// The order of a client's operations on one key: a write begins when the writes to the same key that were called before it have ended,
/// with all their retries, and so does a read. Reads wait for no reads, and writes for no reads. Operations on different keys do not wait
/// for each other (but for two keys of one 64-bit hash). Allocates nothing once it has grown, but for operations on several keys.
/// Thread-safe.
/// </summary>
internal sealed class KeyTurns
{
    private const int StripeCount = 64;
    private readonly HashSet<TurnGate> _gates = [];
    private readonly Stripe[] _stripes = [.. Enumerable.Range(0, StripeCount).Select(static _ => new Stripe())];

    /// <summary>
    /// Takes a place; true when it may begin at once. If not, <see cref="TurnTaker.OnTurn"/> says when. In any case
    /// <see cref="Leave(TurnTaker)"/> ends it.
    /// </summary>
    public bool TryEnter(TurnTaker taker, ulong hash, bool writes)
    {
        Stripe stripe = StripeOf(hash);
        if (!writes && stripe.Keys == 0)
        {
            return true;
        }

        lock (stripe.Gate)
        {
            TurnNode? last = stripe.LastOf(hash);
            if (writes)
            {
                TurnNode node = stripe.Append(hash, last);
                taker.Node = node;
                if (last is not null)
                {
                    node.Taker = taker;
                    stripe.Waiting.Add(node);
                }
            }
            else if (last is not null)
            {
                TurnNode node = stripe.Rent(hash);
                (node.Taker, taker.Node) = (taker, node);
                (node.NextReader, last.Readers) = (last.Readers, node);
                stripe.Waiting.Add(node);
            }

            return last is null;
        }
    }

    /// <summary>As <see cref="TryEnter(TurnTaker, ulong, bool)"/> for a write of several keys: their hashes, each once.</summary>
    public bool TryEnter(TurnTaker taker, IReadOnlyCollection<ulong> hashes)
    {
        if (hashes.Count == 1)
        {
            return TryEnter(taker, hashes.First(), writes: true);
        }

        TurnGate gate = new(taker, hashes.Count);
        taker.Gate = gate;

        // All places are taken at one instant, so that of two such operations one is first at all keys. Locks are taken in one order.
        Stripe[] stripes = [.. hashes.Select(StripeOf).Distinct().OrderBy(s => Array.IndexOf(_stripes, s))];
        Array.ForEach(stripes, static s => s.Gate.Enter());
        try
        {
            int i = 0;
            bool begins = false;
            foreach (ulong hash in hashes)
            {
                Stripe stripe = StripeOf(hash);
                TurnNode? last = stripe.LastOf(hash);
                TurnNode node = stripe.Append(hash, last);
                node.Gate = gate;
                gate.Nodes[i++] = node;
                begins |= last is null && gate.Arrive() && gate.TryBegin();
            }

            if (!begins)
            {
                lock (_gates)
                {
                    _gates.Add(gate);
                }
            }

            return begins;
        }
        finally
        {
            Array.ForEach(stripes, static s => s.Gate.Exit());
        }
    }

    /// <summary>An operation that had begun has ended: those behind it begin.</summary>
    public void Leave(TurnTaker taker)
    {
        if (taker.Gate is { } gate)
        {
            taker.Gate = null;
            Leave(gate);
        }
        else if (taker.Node is { } node)
        {
            taker.Node = null;
            Leave(node);
        }
    }

    /// <summary>Gives the turn of an operation that had begun to another one, which leaves in its place.</summary>
    public static void HandOver(TurnTaker from, TurnTaker to)
    {
        (to.Node, to.Gate) = (from.Node, from.Gate);
        (from.Node, from.Gate) = (null, null);
    }

    /// <summary>True when the operation still waited, and now never begins.</summary>
    public static bool TryGiveUp(TurnTaker taker)
    {
        if (taker.Gate is { } gate)
        {
            if (!gate.TryGiveUp())
            {
                return false;
            }

            taker.Gate = null;
            return true;
        }

        if (taker.Node is not { } node)
        {
            return false;
        }

        lock (node.Stripe.Gate)
        {
            if (!ReferenceEquals(node.Taker, taker))
            {
                return false;
            }

            GiveUp(node);
            return true;
        }
    }

    /// <summary>Takes out all that have waited for too long.</summary>
    public List<TurnTaker>? TakeLate(long now, out bool anyWaits)
    {
        List<TurnTaker>? late = null;
        anyWaits = false;
        foreach (Stripe stripe in _stripes)
        {
            lock (stripe.Gate)
            {
                foreach (TurnNode node in stripe.Waiting)
                {
                    if (node.Taker!.IsLate(now))
                    {
                        (late ??= []).Add(node.Taker);
                        node.Taker.Node = null;
                        node.Taker = null;
                    }
                }

                stripe.Waiting.RemoveWhere(static n => n.Taker is null);
                anyWaits |= stripe.Waiting.Count > 0;
            }
        }

        lock (_gates)
        {
            foreach (TurnGate gate in _gates)
            {
                if (gate.Taker.IsLate(now) && gate.TryGiveUp())
                {
                    gate.Taker.Gate = null;
                    (late ??= []).Add(gate.Taker);
                }
            }

            _gates.RemoveWhere(static g => !g.IsWaiting);
            anyWaits |= _gates.Count > 0;
        }

        return late;
    }

    private static void GiveUp(TurnNode node)
    {
        node.Stripe.Waiting.Remove(node);
        node.Taker!.Node = null;
        node.Taker = null;
    }

    private void Leave(TurnGate gate)
    {
        foreach (TurnNode node in gate.Nodes)
        {
            Leave(node);
        }
    }

    private void Leave(TurnNode node)
    {
        TurnTaker? begins = null;
        TurnGate? arrived = null;
        Stripe stripe = node.Stripe;
        lock (stripe.Gate)
        {
            while (true)
            {
                for (TurnNode? reader = node.Readers; reader is not null;)
                {
                    TurnNode? following = reader.NextReader;
                    Begin(reader, ref begins);
                    stripe.Return(reader);
                    reader = following;
                }

                TurnNode? next = node.Next;
                stripe.Remove(node);
                if (next is null)
                {
                    break;
                }

                if (next.Gate is { } gate)
                {
                    arrived = gate.Arrive() ? gate : null;
                    break;
                }

                if (next.Taker is not null)
                {
                    Begin(next, ref begins);
                    break;
                }

                // It has given up: the one behind it is next.
                node = next;
            }
        }

        if (arrived is not null)
        {
            lock (_gates)
            {
                _gates.Remove(arrived);
            }

            if (arrived.TryBegin())
            {
                arrived.Taker.OnTurn();
            }
            else
            {
                Leave(arrived);
            }
        }

        while (begins is not null)
        {
            TurnTaker taker = begins;
            begins = taker.NextToBegin;
            taker.NextToBegin = null;
            taker.OnTurn();
        }
    }

    // A read that begins has no place any more, a write keeps it until it leaves.
    private static void Begin(TurnNode node, ref TurnTaker? begins)
    {
        if (node.Taker is not { } taker)
        {
            return;
        }

        node.Stripe.Waiting.Remove(node);
        node.Taker = null;
        taker.Node = node.Writes ? node : null;
        taker.NextToBegin = begins;
        begins = taker;
    }

    private Stripe StripeOf(ulong hash) => _stripes[hash % StripeCount];

    /// <summary>Keys with writes under way, by the lower bits of their hashes.</summary>
    internal sealed class Stripe
    {
        private const int KeptNodes = 1024;
        private readonly Dictionary<ulong, TurnNode> _last = [];
        private readonly Stack<TurnNode> _free = new();
        private int _keys;

        public Lock Gate { get; } = new();

        /// <summary>Places that wait for their turn at a single key.</summary>
        public HashSet<TurnNode> Waiting { get; } = [];

        /// <summary>How many keys have writes; may be out of date at once.</summary>
        public int Keys => Volatile.Read(ref _keys);

        public TurnNode? LastOf(ulong hash) => _last.GetValueOrDefault(hash);

        /// <summary>Adds a write behind the last one of its key.</summary>
        public TurnNode Append(ulong hash, TurnNode? last)
        {
            TurnNode node = Rent(hash);
            node.Writes = true;
            _last[hash] = node;
            Volatile.Write(ref _keys, _last.Count);
            if (last is not null)
            {
                last.Next = node;
            }

            return node;
        }

        /// <summary>Takes the first write of a key out.</summary>
        public void Remove(TurnNode node)
        {
            if (node.Next is null)
            {
                _last.Remove(node.Hash);
                Volatile.Write(ref _keys, _last.Count);
            }

            Return(node);
        }

        public TurnNode Rent(ulong hash)
        {
            TurnNode node = _free.Count > 0 ? _free.Pop() : new TurnNode(this);
            node.Hash = hash;
            return node;
        }

        public void Return(TurnNode node)
        {
            (node.Taker, node.Gate, node.Next, node.Readers, node.NextReader, node.Writes) = (null, null, null, null, null, false);
            if (_free.Count < KeptNodes)
            {
                _free.Push(node);
            }
        }
    }
}

namespace Henge.Client.Ordering;

/// <summary>An operation that <see cref="KeyTurns"/> lets begin when it is its turn.</summary>
internal abstract class TurnTaker
{
    /// <summary>Its place, while it has one. Under the stripe's lock.</summary>
    internal TurnNode? Node { get; set; }

    /// <summary>Its places, when it touches several keys.</summary>
    internal TurnGate? Gate { get; set; }

    /// <summary>For lists of those that begin together.</summary>
    internal TurnTaker? NextToBegin { get; set; }

    /// <summary>Its turn has come. Must not throw.</summary>
    public abstract void OnTurn();

    /// <summary>True when it has waited for too long by now (a timestamp of the client's clock).</summary>
    public abstract bool IsLate(long now);
}

/// <summary>
/// One operation's place at one key. Belongs to a stripe of <see cref="KeyTurns"/>, whose lock guards it, and is used again.
/// </summary>
internal sealed class TurnNode(KeyTurns.Stripe stripe)
{
    public KeyTurns.Stripe Stripe { get; } = stripe;

    public ulong Hash { get; set; }

    /// <summary>True for writes.</summary>
    public bool Writes { get; set; }

    /// <summary>Who waits here; null when it has begun, or has given up.</summary>
    public TurnTaker? Taker { get; set; }

    /// <summary>When the operation touches several keys.</summary>
    public TurnGate? Gate { get; set; }

    /// <summary>The write behind this one.</summary>
    public TurnNode? Next { get; set; }

    /// <summary>The reads behind this write and before the next.</summary>
    public TurnNode? Readers { get; set; }

    /// <summary>The next one in such a list.</summary>
    public TurnNode? NextReader { get; set; }
}

/// <summary>An operation on several keys begins when it is its turn at each of them.</summary>
internal sealed class TurnGate(TurnTaker taker, int keys)
{
    private const int Waiting = 0;
    private const int Begun = 1;
    private const int GivenUp = 2;
    private int _state;
    private int _missing = keys;

    public TurnTaker Taker { get; } = taker;

    public TurnNode[] Nodes { get; } = new TurnNode[keys];

    /// <summary>True while it has neither begun nor given up.</summary>
    public bool IsWaiting => Volatile.Read(ref _state) == Waiting;

    /// <summary>Its turn at one more key has come; true when that was the last.</summary>
    public bool Arrive() => Interlocked.Decrement(ref _missing) == 0;

    /// <summary>True for the one who may let it begin.</summary>
    public bool TryBegin() => Interlocked.CompareExchange(ref _state, Begun, Waiting) == Waiting;

    /// <summary>True when it had not begun, and now never will.</summary>
    public bool TryGiveUp() => Interlocked.CompareExchange(ref _state, GivenUp, Waiting) == Waiting;
}

using System.Globalization;
using System.Text;

namespace Henge.Simulation.World;

/// <summary>A finding: something that must never happen, happened.</summary>
public sealed class SimulationException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>
/// Virtual time and everything that will happen in it, in one thread. Events at one instant happen in the order in which they were planned.
/// Every event goes into a running hash: two runs of one seed are the same run exactly when their hashes are.
/// </summary>
public sealed class SimWorld(ulong seed, bool keepTrace)
{
    private const int TraceLines = 200_000;
    private readonly PriorityQueue<Action, (long AtNs, long Number)> _events = new();
    private readonly List<string> _trace = [];
    private long _number;

    /// <summary>The seed of it all.</summary>
    public ulong Seed => seed;

    /// <summary>Chance.</summary>
    public SimRandom Random { get; } = new(seed);

    /// <summary>Virtual nanoseconds since the world began.</summary>
    public long NowNs { get; private set; }

    /// <summary>Virtual milliseconds since the world began.</summary>
    public long NowMs => NowNs / 1_000_000;

    /// <summary>Events that have happened.</summary>
    public long Events { get; private set; }

    /// <summary>Hash of everything that was traced.</summary>
    public ulong TraceHash { get; private set; } = 14695981039346656037;

    /// <summary>What was traced, when it is kept; the last lines of it.</summary>
    public IReadOnlyList<string> Trace => _trace;

    /// <summary>Plans something.</summary>
    public void After(long delayNs, Action action) => _events.Enqueue(action, (NowNs + Math.Max(0, delayNs), ++_number));

    /// <summary>Plans something in so many milliseconds.</summary>
    public void AfterMs(long delayMs, Action action) => After(delayMs * 1_000_000, action);

    /// <summary>Lets the next event happen; false when nothing is planned.</summary>
    public bool Step()
    {
        if (!_events.TryDequeue(out Action? action, out (long AtNs, long Number) when))
        {
            return false;
        }

        NowNs = when.AtNs;
        Events++;
        Mix((ulong)when.AtNs);
        action();
        return true;
    }

    /// <summary>Lets things happen until a moment, or until a condition holds.</summary>
    public bool RunUntil(long atMs, Func<bool>? condition = null)
    {
        while (condition is null || !condition())
        {
            if (!_events.TryPeek(out _, out (long AtNs, long Number) next) || next.AtNs > atMs * 1_000_000)
            {
                NowNs = Math.Max(NowNs, atMs * 1_000_000);
                return condition?.Invoke() ?? true;
            }

            Step();
        }

        return true;
    }

    /// <summary>Takes note of what happens.</summary>
    public void Note(string kind, int node, ulong a = 0, ulong b = 0)
    {
        foreach (char c in kind)
        {
            Mix(c);
        }

        Mix((ulong)node);
        Mix(a);
        Mix(b);
        if (keepTrace)
        {
            Line($"{kind} node={node} {a} {b}");
        }
    }

    /// <summary>Takes note of what happens in words; the words are made only when the trace is kept.</summary>
    public void Say(string kind, Func<string> words)
    {
        Mix((ulong)kind.Length);
        if (keepTrace)
        {
            Line(kind + " " + words());
        }
    }

    /// <summary>The kept trace as one text.</summary>
    public string TraceText() => new StringBuilder().AppendJoin('\n', _trace).ToString();

    private void Line(string text)
    {
        if (_trace.Count == TraceLines)
        {
            _trace.RemoveRange(0, TraceLines / 2);
        }

        _trace.Add(string.Create(CultureInfo.InvariantCulture, $"{NowNs / 1e6,12:F3} ms  {text}"));
    }

    private void Mix(ulong value) => TraceHash = (TraceHash ^ value) * 1099511628211;
}

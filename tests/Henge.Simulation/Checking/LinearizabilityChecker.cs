namespace Henge.Simulation.Checking;

/// <summary>
/// Decides whether one key's history has an order in which every operation takes effect at one instant between its call and its return: the
/// search of Wing and Gong (1993) with Lowe's memory of configurations (2017). Operations of unknown outcome may be placed anywhere after
/// their call, or left out.
/// </summary>
public sealed class LinearizabilityChecker
{
    private const int ConfigurationLimit = 4_000_000;
    private readonly List<KeyOperation> _operations;
    private readonly Dictionary<long, ulong> _versionOfValue = [];
    private readonly HashSet<Configuration> _seen = [];

    private LinearizabilityChecker(IEnumerable<KeyOperation> operations) =>
        // What never took effect and what nobody saw to fail tells nothing: a read of unknown outcome constrains no order.
        _operations = [.. operations.Where(o => !(o.Outcome == KeyOutcome.Unknown && o.Action == KeyAction.Read)).OrderBy(o => o.Call)];

    /// <summary>Null when the history is linearizable; else what stands in the way.</summary>
    /// <param name="operations">All operations on the key.</param>
    /// <param name="versions">Versions by value, where they are known otherwise than from operations: a write of unknown outcome is told no
    /// version, and conditions name it all the same.</param>
    public static string? Check(IEnumerable<KeyOperation> operations, IEnumerable<KeyValuePair<long, ulong>>? versions = null)
    {
        var checker = new LinearizabilityChecker(operations);
        foreach ((long value, ulong version) in versions ?? [])
        {
            checker._versionOfValue[value] = version;
        }

        return checker.Run();
    }

    private string? Run()
    {
        if (LearnVersions() is { } contradiction)
        {
            return contradiction;
        }

        var done = new ulong[(_operations.Count + 63) / 64];
        int known = _operations.Count(o => o.Outcome != KeyOutcome.Unknown);
        return Search(done, default, known, out int deepest)
            ? null
            : $"no linearization of {_operations.Count} operations; at best {deepest} could be ordered:\n  "
                + string.Join("\n  ", _operations);
    }

    /// <summary>A value has one version, whoever tells it; without that, conditions could not be judged.</summary>
    private string? LearnVersions()
    {
        foreach (KeyOperation operation in _operations)
        {
            bool tells = operation.Outcome == KeyOutcome.Ok && operation.Value != 0 && operation.Version != 0
                && operation.Action is KeyAction.Read or KeyAction.Write or KeyAction.WriteIf;
            if (tells)
            {
                if (_versionOfValue.TryGetValue(operation.Value, out ulong other) && other != operation.Version)
                {
                    return $"value {operation.Value} was told with versions {other} and {operation.Version}: {operation}";
                }

                _versionOfValue[operation.Value] = operation.Version;
            }
        }

        return null;
    }

    // Iterative depth-first search: at each depth, any operation that was called before the earliest return of what is left may come next.
    private bool Search(ulong[] done, State initial, int known, out int deepest)
    {
        var frames = new Stack<Frame>();
        frames.Push(new Frame(initial, 0, -1));
        deepest = 0;
        int knownDone = 0;
        while (frames.Count > 0)
        {
            if (knownDone == known)
            {
                return true;
            }

            Frame frame = frames.Pop();
            long horizon = EarliestReturn(done);
            int next = -1;
            State after = default;
            for (int i = frame.Cursor; i < _operations.Count && _operations[i].Call <= horizon; i++)
            {
                if (!IsDone(done, i) && TryStep(frame.State, _operations[i], out after) && Remember(done, i, after))
                {
                    next = i;
                    break;
                }
            }

            if (next >= 0)
            {
                frames.Push(frame with { Cursor = next + 1 });
                frames.Push(new Frame(after, 0, next));
                Flip(done, next);
                knownDone += _operations[next].Outcome == KeyOutcome.Unknown ? 0 : 1;
                deepest = Math.Max(deepest, knownDone);
            }
            else if (frame.Entered >= 0)
            {
                Flip(done, frame.Entered);
                knownDone -= _operations[frame.Entered].Outcome == KeyOutcome.Unknown ? 0 : 1;
            }
        }

        return false;
    }

    private long EarliestReturn(ulong[] done)
    {
        long earliest = long.MaxValue;
        for (int i = 0; i < _operations.Count && _operations[i].Call <= earliest; i++)
        {
            if (!IsDone(done, i) && _operations[i].Outcome != KeyOutcome.Unknown)
            {
                earliest = Math.Min(earliest, _operations[i].Return);
            }
        }

        return earliest;
    }

    private bool TryStep(State state, KeyOperation operation, out State after)
    {
        after = state;
        switch (operation.Action)
        {
            case KeyAction.Read:
                return state.Value == operation.Value;
            case KeyAction.Write:
                after = new State(operation.Value);
                return true;
            case KeyAction.Delete:
                after = default;
                return true;
            default:
                // Nobody may have told the version of a write of unknown outcome: then it can be any that is not another value's.
                bool unseen = state.Value != 0 && !_versionOfValue.ContainsKey(state.Value);
                ulong current = state.Value == 0 ? 0 : _versionOfValue.GetValueOrDefault(state.Value);
                if (operation.Outcome == KeyOutcome.ConditionFailed)
                {
                    return unseen
                        ? !_versionOfValue.ContainsValue(operation.Version)
                        : current != operation.Condition && operation.Version == current;
                }

                // A condition of unknown outcome that does not hold changes nothing: leaving the operation out says the same.
                after = operation.Action == KeyAction.WriteIf ? new State(operation.Value) : default;
                return unseen
                    ? operation.Condition != 0 && !_versionOfValue.ContainsValue(operation.Condition)
                    : current == operation.Condition;
        }
    }

    private bool Remember(ulong[] done, int next, State after)
    {
        var copy = (ulong[])done.Clone();
        Flip(copy, next);
        if (_seen.Count >= ConfigurationLimit)
        {
            throw new InvalidOperationException(
                $"the history of {_operations.Count} operations has too many orders to search; make it shorter");
        }

        return _seen.Add(new Configuration(copy, after.Value));
    }

    private static bool IsDone(ulong[] done, int i) => (done[i >> 6] >> (i & 63) & 1) != 0;

    private static void Flip(ulong[] done, int i) => done[i >> 6] ^= 1UL << (i & 63);

    /// <summary>The key's value number; 0 when it is not there.</summary>
    private readonly record struct State(long Value);

    private readonly record struct Frame(State State, int Cursor, int Entered);

    private readonly struct Configuration(ulong[] done, long value) : IEquatable<Configuration>
    {
        private readonly ulong[] _done = done;
        private readonly long _value = value;

        public bool Equals(Configuration other) => _value == other._value && _done.AsSpan().SequenceEqual(other._done);

        public override bool Equals(object? obj) => obj is Configuration other && Equals(other);

        public override int GetHashCode()
        {
            var hash = new HashCode();
            hash.Add(_value);
            foreach (ulong word in _done)
            {
                hash.Add(word);
            }

            return hash.ToHashCode();
        }
    }
}

using Henge.Storage;
using Henge.Storage.Memory;

namespace Henge.Node.Tests.StateMachine;

/// <summary>
/// A memory engine that behaves at a crash as one without a log does: batches since the last flush are lost from some point on, while range
/// drops, which are durable at once, stay.
/// </summary>
internal sealed class ForgetfulEngine : IStorageEngine
{
    private readonly MemoryEngine _engine = new();
    private readonly List<Action<IStorageEngine>> _operations;
    private readonly List<bool> _isDrop;
    private int _flushed;

    public ForgetfulEngine()
        : this([], [])
    {
    }

    private ForgetfulEngine(List<Action<IStorageEngine>> operations, List<bool> isDrop)
    {
        _operations = operations;
        _isDrop = isDrop;
        _flushed = operations.Count;
        operations.ForEach(o => o(_engine));
    }

    public event Action? Flushed;

    public string Name => "forgetful";

    public WritePressure Pressure => WritePressure.None;

    /// <summary>Called before each operation; throw to crash there.</summary>
    public Action? BeforeOperation { get; set; }

    /// <summary>The engine after a crash in which it lost what a random cut decides.</summary>
    public ForgetfulEngine Crash(Random random)
    {
        int cut = random.Next(_flushed, _operations.Count + 1);
        var operations = new List<Action<IStorageEngine>>();
        var isDrop = new List<bool>();
        for (int i = 0; i < _operations.Count; i++)
        {
            if (i < cut || _isDrop[i])
            {
                operations.Add(_operations[i]);
                isDrop.Add(_isDrop[i]);
            }
        }

        return new ForgetfulEngine(operations, isDrop);
    }

    public void Apply(WriteBatch batch, bool sync = true)
    {
        byte[] encoded = batch.Encoded.ToArray();
        int count = batch.Count;
        Do(false, engine =>
        {
            var copy = new WriteBatch();
            copy.Load(encoded, count);
            engine.Apply(copy, sync);
        });
    }

    public void DropRange(uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper)
    {
        byte[] from = lower.ToArray();
        byte[] to = upper.ToArray();
        Do(true, engine => engine.DropRange(keyspace, from, to));
    }

    public void Flush()
    {
        BeforeOperation?.Invoke();
        _flushed = _operations.Count;
        Flushed?.Invoke();
    }

    public Core.Version HistoryFloor => _engine.HistoryFloor;

    public void SetHistoryFloor(Core.Version floor) => Do(false, engine => engine.SetHistoryFloor(floor));

    public bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value) =>
        _engine.TryGet(keyspace, key, point, out value);

    public EngineIterator CreateIterator(in IteratorOptions options) => _engine.CreateIterator(options);

    public IEngineSnapshot CreateSnapshot() => _engine.CreateSnapshot();

    public ulong GetPosition(uint stream) => _engine.GetPosition(stream);

    public ulong GetDurablePosition(uint stream) => 0;

    public void RequestFlush() => Flush();

    public void Checkpoint(string directory) => _engine.Checkpoint(directory);

    public EngineStatistics GetStatistics() => _engine.GetStatistics();

    public void Dispose() => _engine.Dispose();

    private void Do(bool isDrop, Action<IStorageEngine> operation)
    {
        BeforeOperation?.Invoke();
        _operations.Add(operation);
        _isDrop.Add(isDrop);
        operation(_engine);
    }
}

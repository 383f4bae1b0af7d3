using System.Buffers;
using System.Threading.Tasks.Sources;
using Henge.Node.Api;

namespace Henge.Server.Resp.Connections;

/// <summary>
/// The operations that one read from a socket held, on their way through the node together: submitted as one group, waited for once.
/// Reusable, one round at a time; allocates only while it grows to its usual size.
/// </summary>
internal sealed class RespBatch : IValueTaskSource
{
    private readonly List<RespOperation> _pool = [];
    private readonly List<ArrayBufferWriter<byte>> _chunks = [];
    private Operation[] _operations = new Operation[64];
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };
    private int _waiting;
    private int _chunk;

    /// <summary>Operations in this round.</summary>
    public int Count { get; private set; }

    /// <summary>One of them.</summary>
    public Operation this[int index] => _operations[index];

    /// <summary>Adds an operation to this round; the caller fills it in.</summary>
    public RespOperation Add()
    {
        if (Count == _pool.Count)
        {
            _pool.Add(new RespOperation(this));
        }

        if (Count == _operations.Length)
        {
            Array.Resize(ref _operations, Count * 2);
        }

        RespOperation operation = _pool[Count];
        _operations[Count++] = operation;
        return operation;
    }

    /// <summary>Adds a read of a key.</summary>
    public void AddGet(ReadOnlyMemory<byte> key)
    {
        RespOperation operation = Add();
        operation.Kind = OperationKind.Get;
        operation.Key = key;
    }

    /// <summary>Adds an encoded command.</summary>
    /// <param name="key">The key that decides its shard.</param>
    /// <param name="command">The command, in memory that stays until the round is over.</param>
    public void AddWrite(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> command)
    {
        RespOperation operation = Add();
        operation.Kind = OperationKind.Write;
        operation.Key = key;
        operation.Command = command;
    }

    /// <summary>Takes back what was added last, down to a number of operations. Before the round is submitted only.</summary>
    public void Truncate(int count)
    {
        while (Count > count)
        {
            _pool[--Count].Reset();
        }
    }

    /// <summary>
    /// Where a command is encoded to. Memory that was handed out must stay where it is until the round is over, so a chunk is never grown:
    /// the next one is taken.
    /// </summary>
    public ArrayBufferWriter<byte> ChunkFor(int bytes)
    {
        const int ChunkBytes = 64 * 1024;
        while (_chunk < _chunks.Count && _chunks[_chunk].FreeCapacity < bytes)
        {
            _chunk++;
        }

        if (_chunk == _chunks.Count)
        {
            _chunks.Add(new ArrayBufferWriter<byte>(Math.Max(bytes, ChunkBytes)));
        }

        return _chunks[_chunk];
    }

    /// <summary>Submits the round; completes when the last operation has.</summary>
    public ValueTask RunAsync(IHengeNode node)
    {
        if (Count == 0)
        {
            return ValueTask.CompletedTask;
        }

        _core.Reset();
        Volatile.Write(ref _waiting, Count);
        node.Submit(_operations.AsSpan(0, Count));
        return new ValueTask(this, _core.Version);
    }

    /// <summary>Ends the round: operations go back to the pool, large buffers to the collector.</summary>
    public void Clear()
    {
        const int KeptOperations = 4096, KeptChunks = 4;
        for (int i = 0; i < Count; i++)
        {
            _pool[i].Reset();
        }

        if (_pool.Count > KeptOperations)
        {
            _pool.RemoveRange(KeptOperations, _pool.Count - KeptOperations);
            _operations = new Operation[KeptOperations];
        }

        _chunks.RemoveAll(static c => c.Capacity > 1024 * 1024);
        if (_chunks.Count > KeptChunks)
        {
            _chunks.RemoveRange(KeptChunks, _chunks.Count - KeptChunks);
        }

        foreach (ArrayBufferWriter<byte> chunk in _chunks)
        {
            chunk.ResetWrittenCount();
        }

        _chunk = 0;
        Count = 0;
    }

    internal void CompletedOne()
    {
        if (Interlocked.Decrement(ref _waiting) == 0)
        {
            _core.SetResult(true);
        }
    }

    void IValueTaskSource.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}

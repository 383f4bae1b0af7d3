using System.Collections.Concurrent;
using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.Workers;

/// <summary>
/// A read that another node has sent to this one. It is submitted and completed on the shard's worker, once, and used again for another
/// one after it has been answered.
/// </summary>
internal sealed class RemoteRead(RemoteReads owner) : Operation
{
    private const int MostKeptBytes = 1024;
    private byte[] _memory = [];

    /// <summary>Who sent it.</summary>
    public NodeId From { get; set; }

    /// <summary>The sender's number for it.</summary>
    public ulong RequestId { get; set; }

    /// <inheritdoc/>
    internal override bool IsForwarded => true;

    /// <summary>Keeps a copy of a key, in memory that is used again with the read unless it is large.</summary>
    public void CopyKey(ReadOnlySpan<byte> key)
    {
        byte[] memory = _memory;
        if (memory.Length < key.Length)
        {
            memory = GC.AllocateUninitializedArray<byte>(Math.Max(key.Length, 64));
            if (key.Length <= MostKeptBytes)
            {
                _memory = memory;
            }
        }

        key.CopyTo(memory);
        Key = memory.AsMemory(0, key.Length);
    }

    /// <inheritdoc/>
    protected override void OnCompleted() => owner.Answer(this);
}

/// <summary>Reads that wait to be used again. Thread-safe.</summary>
internal sealed class RemoteReadPool
{
    private const int MostKept = 4096;
    private readonly ConcurrentQueue<RemoteRead> _free = new();

    /// <summary>One that is free.</summary>
    public RemoteRead Rent(RemoteReads owner) => _free.TryDequeue(out RemoteRead? read) ? read : new RemoteRead(owner);

    /// <summary>Takes back one that was answered.</summary>
    public void Return(RemoteRead read)
    {
        read.Reset();
        if (_free.Count < MostKept)
        {
            _free.Enqueue(read);
        }
    }
}

using System.Buffers;
using System.Collections.Concurrent;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.Workers;

namespace Henge.Node.Remote;

/// <summary>What a lane reads for another node.</summary>
internal interface IReadJob
{
    /// <summary>Reads, and writes the answer into a frame of the lane.</summary>
    void Run(ReadLane lane);
}

/// <summary>
/// Reads for other nodes, one after another, beside the workers: what they wait for the disk, the shards of this node do not. What is
/// answered in one run leaves together, by one frame to each node or more. <see cref="Submit(IReadJob)"/> is thread-safe.
/// </summary>
internal sealed class ReadLane(NodeContext node, int index, Action<RemoteRead, ReadLane> answerValue) : IWorkItem
{
    private readonly OperationQueue _values = new();
    private readonly ConcurrentQueue<IReadJob> _jobs = new();
    private readonly Dictionary<NodeId, PeerFrameBuilder> _frames = [];
    private Action? _stopped;
    private int _scheduled;

    /// <summary>Memory for what a job reads, empty at its beginning.</summary>
    public ArrayBufferWriter<byte> Buffer { get; private set; } = new();

    /// <summary>Takes the read of a value in.</summary>
    public void Submit(RemoteRead read)
    {
        _values.Push(read);
        Wake();
    }

    /// <summary>Takes a job in.</summary>
    public void Submit(IReadJob job)
    {
        _jobs.Enqueue(job);
        Wake();
    }

    /// <summary>Does nothing more, and says so when it does nothing any more.</summary>
    public void Stop(Action stopped)
    {
        Volatile.Write(ref _stopped, stopped);
        Wake();
    }

    /// <summary>Begins a record to a node. End it with <see cref="PeerFrameBuilder.EndRecord"/>.</summary>
    public PeerFrameBuilder Begin(NodeId to, PeerRecordKind kind, ShardId shard)
    {
        if (!_frames.TryGetValue(to, out PeerFrameBuilder? frame))
        {
            _frames.Add(to, frame = new PeerFrameBuilder(node.Sender, to));
        }

        if (frame.Bytes >= node.Options.PeerFrameBytes)
        {
            Send(to, frame);
        }

        frame.BeginRecord(kind, shard);
        return frame;
    }

    /// <inheritdoc/>
    public void Run()
    {
        if (Volatile.Read(ref _stopped) is { } stopped)
        {
            // Once: whoever comes later finds it gone, and the lane stays closed.
            _values.TakeAll();
            _jobs.Clear();
            if (Interlocked.Exchange(ref _stopped, static () => { }) == stopped)
            {
                stopped();
            }

            Interlocked.Exchange(ref _scheduled, 0);
            return;
        }

        if (node.IsDead)
        {
            return;
        }

        try
        {
            RunJobs();
        }
        catch (Exception e)
        {
            node.Fatal($"Reading for other nodes failed: {e.Message}", e);
        }

        Interlocked.Exchange(ref _scheduled, 0);
        if (!_values.IsEmpty || !_jobs.IsEmpty || Volatile.Read(ref _stopped) is not null)
        {
            Wake();
        }
    }

    private void RunJobs()
    {
        for (Operation? operation = _values.TakeAll(); operation is not null;)
        {
            Operation? next = operation.Next;
            operation.Next = null;
            answerValue((RemoteRead)operation, this);
            operation = next;
        }

        if (_jobs.TryDequeue(out IReadJob? job))
        {
            job.Run(this);
            if (Buffer.Capacity > 4 * 1024 * 1024)
            {
                Buffer = new ArrayBufferWriter<byte>();
            }
        }

        foreach ((NodeId to, PeerFrameBuilder frame) in _frames)
        {
            if (!frame.IsEmpty)
            {
                Send(to, frame);
            }
        }
    }

    private void Send(NodeId to, PeerFrameBuilder frame)
    {
        node.Environment.Transport?.Send(to, frame.Complete(node.Incarnations.Of(to)));
        frame.Clear();
    }

    private void Wake()
    {
        if (Interlocked.Exchange(ref _scheduled, 1) == 0)
        {
            node.Environment.Readers.Schedule(index, this);
        }
    }
}

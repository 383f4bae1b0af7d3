using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.Workers;

/// <summary>
/// Whose reads were sent to other nodes, and come back when they are not answered there. Only the shard's worker calls it.
/// </summary>
internal interface IReadOwner
{
    /// <summary>A read comes back: it may be tried again, elsewhere.</summary>
    void OnReadReturned(Operation read, NodeId from, ErrorCode error, string message);
}

/// <summary>Gives values to reads that other nodes have sent and that may be answered now. Thread-safe.</summary>
internal interface IValueAnswers
{
    /// <summary>Reads the value on another thread than the worker's, since that may wait for the disk, and answers.</summary>
    void Answer(RemoteRead read);
}

/// <summary>What a worker ticks for as long as something waits there.</summary>
internal interface IAttentive
{
    /// <summary>A tick of time has passed. False: nothing waits any more.</summary>
    bool Tick();
}

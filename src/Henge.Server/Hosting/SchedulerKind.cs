using Henge.Node.Context;
using Henge.Server.Events;

namespace Henge.Server.Hosting;

/// <summary>How the node's workers run (docs/decisions on schedulers).</summary>
public enum SchedulerKind
{
    /// <summary>On the pool of .NET.</summary>
    Pool,
    /// <summary>Each on a thread and a core of its own.</summary>
    Pinned,
    /// <summary>On fixed threads with one queue.</summary>
    Queue,
    /// <summary>On a new thread for each piece of work.</summary>
    Thread,
}

using Henge.Node.Context;

namespace Henge.Server.Runtime;

/// <summary>A new thread for each piece of work: only there to show by measurement why not. Thread-safe.</summary>
public sealed class ThreadPerItemScheduler : IWorkScheduler
{
    /// <inheritdoc/>
    public void Schedule(int lane, IWorkItem item) => new Thread(item.Run) { IsBackground = true }.Start();
}

using Henge.Node;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Storage.Memory;
using Henge.Testing.Files;

namespace Henge.Testing.Nodes;

/// <summary>A real node of a cluster of one, on the memory engine and a simulated disk, by the machine's clock.</summary>
public sealed class MemoryNode : IFatalErrorHandler, IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly Timer _ticker;
    private volatile bool _ended;

    /// <summary>Starts it.</summary>
    public MemoryNode(NodeLimits limits, int shards = 4)
    {
        Node = HengeNode.Open(
            new NodeOptions
            {
                Name = "node1",
                Address = "127.0.0.1:1",
                DataDirectory = "/data",
                Shards = shards,
                Limits = limits,
                LogSegmentBytes = 16 * 1024 * 1024,
            },
            new NodeEnvironment
            {
                Time = TimeProvider.System,
                FileSystem = new SimulatedFileSystem(),
                OpenEngine = static _ => new MemoryEngine(),
                Workers = Scheduler,
                Readers = Scheduler,
                LogWriter = Scheduler,
                Fatal = this,
                Seed = 1,
            });
        Node.Start();
        _ticker = new Timer(
            _ =>
            {
                if (!_ended)
                {
                    Node.Tick();
                }
            },
            null,
            Node.Options.TickMs,
            Node.Options.TickMs);

        // Watches can be opened from now on.
        SpinWait.SpinUntil(() =>
        {
            Scheduler.Pump();
            return Node.GetStatus().Shards.All(static s => s.Shard.IsCatalog || !s.LastVersion.IsZero);
        });
    }

    /// <summary>The node.</summary>
    public HengeNode Node { get; }

    /// <summary>Runs its work.</summary>
    public PumpedScheduler Scheduler { get; } = new();

    /// <inheritdoc/>
    public void Fatal(string message, Exception? cause) => Console.Error.WriteLine($"The node of a test has ended: {message} {cause}");

    /// <summary>Stops the node. A test that forgets leaves it to the end of the process.</summary>
    public void Dispose()
    {
        if (_ended)
        {
            return;
        }

        _ended = true;
        _ticker.Dispose();
        using ManualResetEventSlim stopped = new();
        Node.BeginStop(stopped.Set);
        Scheduler.Pump();
        if (!stopped.Wait(Patience))
        {
            throw new InvalidOperationException("The node does not stop.");
        }

        Node.Dispose();
    }
}

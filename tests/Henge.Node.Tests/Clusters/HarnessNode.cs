using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Replication;
using Henge.Storage;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Memory;
using Henge.Testing;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Clusters;

/// <summary>One node of a harness: its disk and its clocks outlive the process that runs on them.</summary>
public sealed class HarnessNode(ClusterHarness cluster, string name, NodeId firstId) : IFatalErrorHandler, IDisposable
{
    private const string Directory = "/data";
    private readonly StepScheduler _workers = new(cluster.Random);
    private readonly StepScheduler _readers = new(cluster.Random);
    private readonly StepScheduler _logWriter = new(cluster.Random);
    private readonly StepBackground _background = new(cluster.Random);
    private int _starts;

    public string Name => name;

    /// <summary>Its number; of one that joins, the one that it is given.</summary>
    public NodeId Id { get; set; } = firstId;

    public HarnessTime Time { get; } = new();

    public SimulatedFileSystem Files { get; private set; } = new();

    public HengeNode? Node { get; private set; }

    public HengeNode Running => Node ?? throw new InvalidOperationException($"{name} does not run");

    public string? FatalMessage { get; private set; }

    /// <summary>What was behind it.</summary>
    public Exception? FatalCause { get; private set; }

    /// <summary>The events that the node has told, of all its starts, and its crashes.</summary>
    public List<HarnessEvent> Events { get; } = [];

    public bool IsPaused { get; set; }

    public bool IsRunning => Node is not null;

    public StepScheduler LogWriter => _logWriter;

    public StepScheduler Workers => _workers;

    /// <summary>A frame comes, whatever the network is like.</summary>
    public void Deliver(byte[] frame) => ((IPeerReceiver)Running).OnFrame(frame);

    public void Start()
    {
        _starts++;
        FatalMessage = null;
        FatalCause = null;
        Node = HengeNode.Open(cluster.OptionsOf(name) with { DataDirectory = Directory }, new NodeEnvironment
        {
            Time = Time,
            FileSystem = Files,
            OpenEngine = OpenEngine,
            Transport = cluster.Network.Attach(Id),
            Workers = _workers,
            Readers = _readers,
            LogWriter = _logWriter,
            Fatal = this,
            Events = RecordedCalls.Create<INodeEvents>((name, arguments) => Events.Add(new HarnessEvent(Time.NowMs, name, arguments))),
            Seed = cluster.Seed + (Id.Value << 8) + ((ulong)_starts << 32),
        });
        Node.Start();
    }

    /// <summary>
    /// Asks a member to be taken in, as the host does before it opens the node; the answer is there when it has come.
    /// </summary>
    public HarnessJoin Join(HarnessNode via, bool completes = true)
    {
        var join = new HarnessJoin();
        using NodeJoining joining = Begin();
        via.Running.Join(
            joining.Request,
            via.Running.MonotonicMs + 10_000,
            (answer, problem) => (join.Answer, join.Problem) = (answer, problem));
        cluster.RunUntil(() => join.Answer is not null || join.Problem is not null, 12_000, "the join was answered");
        if (join.Answer is { } answer && completes)
        {
            joining.Complete(answer);
            Id = answer.Id;
        }

        return join;
    }

    /// <summary>What it says of itself before it has joined.</summary>
    public NodeJoining Begin() =>
        NodeJoining.Begin(Files, cluster.OptionsOf(name) with { DataDirectory = Directory }, () => (ulong)cluster.Random.NextInt64());

    /// <summary>The machine stops at once and loses of its unsynced data what the mode says.</summary>
    public void Crash(CrashMode mode = CrashMode.LoseRandomPart)
    {
        Events.Add(new HarnessEvent(Time.NowMs, "crash", [mode]));
        _workers.Clear();
        _readers.Clear();
        _logWriter.Clear();
        _background.Clear();
        cluster.Network.Detach(Id);
        Files.PowerOff();
        Files.Crash(mode, cluster.Random.Next());
        Node = null;
    }

    public void Stop()
    {
        bool stopped = false;
        Running.BeginStop(() => stopped = true);
        cluster.Settle();
        Assert.True(stopped, "the node did not stop");
        Running.Dispose();
        cluster.Network.Detach(Id);
        _workers.Clear();
        _readers.Clear();
        _logWriter.Clear();
        _background.Clear();
        Node = null;
    }

    public void Dispose() => _background.Dispose();

    /// <summary>Runs on another node's disk.</summary>
    public void Share(HarnessNode other) => Files = other.Files;

    public void LoseDisk() => Files = new SimulatedFileSystem();

    public void Tick()
    {
        _background.Tick();
        Node?.Tick();
    }

    public bool RunOne() =>
        !IsPaused && Node is not null && (_workers.RunOne() | _readers.RunOne() | _logWriter.RunOne() | _background.RunOne());

    internal ShardReplica Replica(uint shard) => Running.Parts.Hosted[new ShardId(shard)];

    internal bool Hosts(uint shard) => Running.Parts.Hosted.TryGet(new ShardId(shard), out _);

    public string? Read(HarnessOperation get)
    {
        if (!Running.TryRead(get, out PinnedValue value))
        {
            return null;
        }

        using (value)
        {
            return Encoding.UTF8.GetString(value.Span);
        }
    }

    public void Fatal(string message, Exception? cause)
    {
        FatalCause = cause;
        FatalMessage = message + (cause is null ? "" : " " + cause);
    }

    /// <summary>True when the node has told this event, with a first argument that is this one unless it is null.</summary>
    public bool HasTold(string name, object? first = null) =>
        Events.Exists(e => e.Name == name && (first is null || Equals(e.Arguments[0], first)));

    private IStorageEngine OpenEngine(string directory) =>
        cluster.UseMemoryEngine
            ? new MemoryEngine()
            : LsmEngine.Open(
                cluster.EngineOptions with
                {
                    Directory = directory,
                    FileSystem = Files,
                    Scheduler = _background,
                    WriteAheadLog = false,
                    OpenDamagedTables = true,
                });
}

/// <summary>
/// Runs the engine's background work step by step, of either kind: the node goes on in the middle of flushes and compactions.
/// </summary>
public sealed class StepBackground(Random random) : IBackgroundScheduler
{
    private readonly InlineScheduler _jobs = new(random.Next);

    public bool HasThreads => false;

    public void Schedule(BackgroundKind kind, IEnumerator<BackgroundPoint> job) => _jobs.Schedule(kind, job);

    public void ScheduleLater(BackgroundKind kind, TimeSpan delay, Action call) => _jobs.ScheduleLater(kind, delay, call);

    /// <summary>Time has passed: what was put off may run.</summary>
    public void Tick() => _jobs.ReleaseLater();

    public bool TryRunOne() => RunOne();

    public void Pause(TimeSpan time)
    {
    }

    public bool RunOne() => _jobs.TryRunOne();

    public void Clear() => _jobs.Clear();

    public void Dispose() => _jobs.Dispose();
}

/// <summary>What came of a join.</summary>
public sealed class HarnessJoin
{
    public JoinAnswer? Answer { get; set; }

    public HengeException? Problem { get; set; }
}

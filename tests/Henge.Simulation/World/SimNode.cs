using Henge.Core;
using Henge.Node;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.Replication;
using Henge.Node.Workers;
using Henge.Storage;
using Henge.Storage.Files;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Background;
using Henge.Storage.Lsm.Settings;
using Henge.Testing;
using Henge.Testing.Files;

namespace Henge.Simulation.World;

/// <summary>One simulated machine: its disk, its clocks, and the real node that runs on it while it is up.</summary>
internal sealed class SimNode : IFatalErrorHandler
{
    private readonly SimWorld _world;
    private readonly SimNetwork _network;
    private readonly SimStatistics _statistics;
    private readonly SimRandom _random;
    private readonly NodeOptions _options;
    private readonly Func<SimNode, LsmOptions> _engine;
    private readonly List<Action> _held = [];
    private readonly Dictionary<int, List<IWorkItem>> _blocked = [];
    private IPeerReceiver? _receiver;
    private bool _running;
    private CrashMode? _crashWhenDone;

    public SimNode(
        int index,
        SimWorld world,
        SimNetwork network,
        SimStatistics statistics,
        NodeOptions options,
        Func<SimNode, LsmOptions> engine)
    {
        Index = index;
        Id = new NodeId((ulong)index + 1);
        _world = world;
        _network = network;
        _statistics = statistics;
        _options = options;
        _engine = engine;
        _random = world.Random.Fork();
        Clock = new SimClock(world);
        Files = new SimulatedFileSystem { Faults = OnFileOperation };
    }

    /// <summary>Its number, from 0; its node id is one more.</summary>
    public int Index { get; }

    /// <summary>Its number in the cluster; of a node that joins, the one that it is given.</summary>
    public NodeId Id { get; set; }

    /// <summary>Somebody has it leave: it may learn that and end itself.</summary>
    public bool MayLeave { get; set; }

    /// <summary>It has left for ever.</summary>
    public bool HasLeft { get; set; }

    /// <summary>Frames and bytes that it has sent, frames that have come to it, and syncs of its disk, since the world began.</summary>
    public (long Sent, long SentBytes, long Received, long Syncs) Work;

    /// <summary>Its disk is gone for good, and it does not start any more.</summary>
    public bool IsLost { get; set; }

    /// <summary>Called when the node tells that a member came, changed or left.</summary>
    public Action<NodeId, MemberState>? MemberChanged { get; set; }

    /// <summary>Rises with each crash: what was planned before does not happen any more.</summary>
    public int Epoch { get; private set; }

    /// <summary>Its disk.</summary>
    public SimulatedFileSystem Files { get; private set; }

    /// <summary>Settings that the node is started with by mistake, in place of its own; null: none.</summary>
    public NodeOptions? Misfit { get; set; }

    /// <summary>True when it can take part in a handshake.</summary>
    public bool CanTalk => Node is not null && !IsPaused && _receiver is not null && _crashWhenDone is null;

    /// <summary>Bits of its tables were flipped.</summary>
    public bool IsDamaged { get; set; }

    /// <summary>
    /// True for an answer that a node may give instead of a value: the shard's state is being replaced, or a part of it is damaged.
    /// </summary>
    public bool MayRefuse(HengeException error) => error.Code == ErrorCode.Unavailable || (IsDamaged && error.Code == ErrorCode.Corruption);

    /// <summary>Its replica of a shard, the catalog being counted last; null while it is down, or has none.</summary>
    public ShardReplica? ReplicaOf(int shard) =>
        Node is not null
        && Node.Parts.Hosted.TryGet(shard < _options.Shards ? new ShardId((uint)shard) : ShardId.Catalog, out ShardReplica? replica)
            ? replica
            : null;

    /// <summary>How its engine is set up.</summary>
    public Func<SimNode, LsmOptions> Engine => _engine;

    /// <summary>Its own settings.</summary>
    public NodeOptions Options => _options;

    /// <summary>Its clocks.</summary>
    public SimClock Clock { get; }

    /// <summary>The node; null while it is down.</summary>
    public HengeNode? Node { get; private set; }

    /// <summary>True while it stands still.</summary>
    public bool IsPaused { get; private set; }

    /// <summary>The next sync of the node log fails.</summary>
    public bool FailNextSync { get; set; }

    /// <summary>Called when it drops its replica of a shard, with the index of the membership by which it is none.</summary>
    public Action<ShardId, LogIndex>? Dropped { get; set; }

    /// <summary>Called whenever the node learns of another leader, or becomes one.</summary>
    public Action? LeadershipChanged { get; set; }

    /// <summary>At each start it draws anew whether its reads go by leases: a change of the setting, node by node.</summary>
    public bool ChangesLeases { get; set; }

    /// <summary>What its reads go by at its next start, whatever else is set; null: nothing else.</summary>
    public ReadConsistency? Reads { get; set; }

    /// <summary>Longest time that a write to the log takes.</summary>
    public long DiskDelayNs { get; set; } = 300_000;

    /// <summary>
    /// Starts the machine. A mere crash is never a reason not to start: so any error is a finding, except that a disk without a byte to
    /// spare holds a start up until there is room.
    /// </summary>
    public void Start()
    {
        if (Node is not null || IsLost || (HasLeft && MayLeave))
        {
            return;
        }

        FailNextSync = false;

        _world.Note("start", Index, (ulong)Epoch);
        var background = new SimBackground(this);
        var lane = new Scheduler(this, 20_000);
        NodeOptions options = ChangesLeases
            ? _options with
            {
                Reads = _random.PerMille(500) ? ReadConsistency.Lease : ReadConsistency.Linearizable,
            }
            : _options;
        options = Reads is { } reads ? options with { Reads = reads } : options;
        if (Epoch > 0 && _random.PerMille(500))
        {
            _network.ReplayOld(this);
        }

        var environment = new NodeEnvironment
        {
            Time = Clock,
            FileSystem = Files,
            OpenEngine = directory =>
                LsmEngine.Open(
                    _engine(this) with
                    {
                        Directory = directory,
                        FileSystem = Files,
                        Scheduler = background,
                        WriteAheadLog = false,
                        Time = Clock,
                        NewLogSalt = _random.NextUInt64,
                    }),
            Transport = _network.CreateTransport(this),
            Workers = lane,
            Readers = new ReadScheduler(this),
            LogWriter = new DiskScheduler(this),
            Fatal = this,
            Events = RecordedCalls.Create<INodeEvents>(OnEvent),
            Seed = _random.NextUInt64(),
        };
        Guard("open", () =>
        {
            Node = HengeNode.Open(Misfit ?? options, environment);
            Node.TopologyChanged += () => LeadershipChanged?.Invoke();
            Node.Start();
        });
        if (Node is not null)
        {
            Tick(Epoch);
        }
    }

    /// <summary>
    /// The operator sees that the node was started with wrong settings, empties its disk, which never held anything that counted, and
    /// starts it with the right ones.
    /// </summary>
    public void SetRight()
    {
        if (Misfit is null)
        {
            return;
        }

        _world.Note("set-right", Index);
        Crash(CrashMode.KeepAll);
        Misfit = null;
        Files = new SimulatedFileSystem { Faults = OnFileOperation };
        Start();
    }

    /// <summary>Somebody switches a machine on again that has left: it must find that out, and end itself.</summary>
    public void StartLeft()
    {
        HasLeft = false;
        Start();
    }

    /// <summary>Its hello to a peer.</summary>
    public byte[] HelloTo(NodeId peer) => _receiver!.HelloTo(peer);

    /// <summary>Shows it a peer's hello.</summary>
    public bool OnHello(byte[] hello)
    {
        bool accepted = false;
        return Guard("hello", () => accepted = _receiver!.OnHello(hello, out _)) && accepted;
    }

    /// <summary>Stops the machine at once; what of the unsynced state survives depends on the mode.</summary>
    public void Crash(CrashMode mode)
    {
        if (_running)
        {
            // In the middle of a step of its own: the step ends first, with a disk that is already off.
            Files.PowerOff();
            _crashWhenDone = mode;
            return;
        }

        _world.Note("crash", Index, (ulong)mode);
        Epoch++;
        Files.PowerOff();
        HengeNode? node = Node;
        Node = null;
        _receiver = null;
        IsPaused = false;
        _held.Clear();
        _blocked.Clear();
        Clock.Suspend(false);
        try
        {
            // Only memory is given back: the disk is off already.
            node?.Dispose();
        }
        catch (Exception e) when (e is IOException or HengeException)
        {
            _world.Note("disposed", Index);
        }

        Files.Crash(mode, _random.Next(int.MaxValue));
        FailNextSync = false;
    }

    /// <summary>Stands still for some time, as under SIGSTOP or in a virtual machine that is moved: clocks go on.</summary>
    public void Pause(long ms)
    {
        if (Node is null || IsPaused)
        {
            return;
        }

        int epoch = Epoch;
        IsPaused = true;
        _world.Note("pause", Index, (ulong)ms);
        _world.AfterMs(ms, () =>
        {
            if (epoch == Epoch)
            {
                Resume();
            }
        });
    }

    /// <summary>The machine sleeps for some time. Its monotonic clock has to count that.</summary>
    public void Suspend(long ms)
    {
        if (Node is not null && !IsPaused)
        {
            Clock.Suspend(true);
            Pause(ms);
        }
    }

    /// <summary>One worker hangs, while the others, the clock and the network go on.</summary>
    public void BlockWorker(int lane, long ms)
    {
        List<IWorkItem> waiting = [];
        if (Node is null || lane >= Workers || !_blocked.TryAdd(lane, waiting))
        {
            return;
        }

        int epoch = Epoch;
        _world.Note("block", Index, (ulong)lane, (ulong)ms);
        _world.AfterMs(ms, () =>
        {
            // Not one that has gone on since and was held up again.
            if (epoch == Epoch && _blocked.GetValueOrDefault(lane) == waiting)
            {
                Unblock(lane);
            }
        });
    }

    /// <summary>A worker goes on with what waited.</summary>
    public void Unblock(int lane)
    {
        if (_blocked.Remove(lane, out List<IWorkItem>? waiting))
        {
            _world.Note("unblock", Index, (ulong)lane);
            foreach (IWorkItem item in waiting)
            {
                Plan(0, "work", () => RunWork(lane, item));
            }
        }
    }

    /// <summary>How many workers it has.</summary>
    public int Workers => Math.Max(1, _options.Workers);

    /// <summary>Goes on with everything that waited.</summary>
    public void Resume()
    {
        if (!IsPaused)
        {
            return;
        }

        IsPaused = false;
        Clock.Suspend(false);
        _world.Note("resume", Index);
        Action[] held = [.. _held];
        _held.Clear();
        foreach (Action action in held)
        {
            _world.After(0, action);
        }
    }

    /// <summary>Plans a step of this incarnation of the node.</summary>
    public void Plan(long delayNs, string what, Action step)
    {
        int epoch = Epoch;
        void Run()
        {
            if (epoch != Epoch || Node is null)
            {
                return;
            }

            if (IsPaused)
            {
                _held.Add(Run);
                return;
            }

            _world.Note(what, Index);
            Guard(what, step);
        }

        _world.After(delayNs, Run);
    }

    /// <summary>
    /// Runs something in the node's name: an error that only its broken disk explains is a crash, any other a finding. False when it broke
    /// off: then nothing that it found counts.
    /// </summary>
    public bool Guard(string what, Action step)
    {
        bool nested = _running;
        bool finished = false;
        _running = true;
        try
        {
            step();
            finished = true;
        }
        catch (SimulationException)
        {
            throw;
        }
        catch (Exception) when (Files.IsDown)
        {
            _crashWhenDone ??= CrashMode.LoseRandomPart;
        }
        catch (HengeException e) when (what == "open" && Misfit is not null && e.Code == ErrorCode.Misconfigured)
        {
            // As it should be. It stays down until somebody sets it right.
            _statistics.MisfitsRefused++;
            _world.Say("misfit", () => $"node {Index} refuses to start: {e.Message}");
        }
        catch (Exception e) when (what == "open" && IsOfFullDisk(e))
        {
            // Every start writes a manifest. The reserve that a node keeps for that is none here, so that full disks are really full.
            _world.Say("full", () => $"node {Index} cannot start: {e.Message}");
            _crashWhenDone ??= CrashMode.KeepAll;
        }
        catch (Exception e)
        {
            throw new SimulationException($"node {Index}: unexpected {e.GetType().Name} while it did '{what}': {e.Message}", e);
        }
        finally
        {
            _running = nested;
        }

        if (!_running && (_crashWhenDone is not null || Files.IsDown))
        {
            CrashMode mode = _crashWhenDone ?? CrashMode.LoseRandomPart;
            _crashWhenDone = null;
            if (Files.IsDown)
            {
                _statistics.CrashesInWrite++;
            }

            Crash(mode);
            RestartLater();
        }

        return finished;
    }

    /// <summary>Starts again after a while.</summary>
    public void RestartLater() => _world.AfterMs(_random.Between(5, 3000), () =>
    {
        if (Node is null)
        {
            _statistics.Restarts++;
            Start();
        }
    });

    /// <summary>A frame has come.</summary>
    public void Receive(byte[] frame)
    {
        if (Node is not null)
        {
            Plan(0, "frame", () => _receiver?.OnFrame(frame));
        }
    }

    internal void SetReceiver(IPeerReceiver receiver) => _receiver = receiver;

    void IFatalErrorHandler.Fatal(string message, Exception? cause)
    {
        _world.Say("fatal", () => $"node {Index}: {message} ({cause?.Message})");
        if (Misfit is not null && cause is null)
        {
            // It has found that the others were started with other settings.
            _statistics.MisfitsRefused++;
            Files.PowerOff();
            _crashWhenDone ??= CrashMode.KeepAll;
            return;
        }

        if (MayLeave && cause is null && message.Contains("has left its cluster", StringComparison.Ordinal))
        {
            HasLeft = true;
            Files.PowerOff();
            _crashWhenDone ??= CrashMode.KeepAll;
            return;
        }

        // A full disk is no reason: it is waited for.
        bool isOfFullDisk = cause is DiskFullException or HengeException { Code: ErrorCode.DiskFull };
        if ((isOfFullDisk || !IsOfDisk(cause)) && !Files.IsDown)
        {
            throw new SimulationException($"node {Index} ended itself: {message}", cause);
        }

        // A failed sync: the process ends, the machine lives.
        Files.PowerOff();
        _crashWhenDone ??= CrashMode.KeepAll;
    }

    private void OnEvent(string name, object?[] arguments)
    {
        switch (name)
        {
            case nameof(INodeEvents.SnapshotInstalled):
                _statistics.SnapshotsInstalled++;
                break;
            case nameof(INodeEvents.ShardDamaged) or nameof(INodeEvents.ShardDamagedEverywhere):
                _statistics.DamageMet++;
                break;
            case nameof(INodeEvents.ApplyStopped):
                _statistics.DamageMet++;
                _statistics.AppliesStopped++;
                break;
            case nameof(INodeEvents.ReplicaBegun):
                _statistics.ReplicasBegun++;
                break;
            case nameof(INodeEvents.ReplicaDropped):
                _statistics.ReplicasDropped++;
                Dropped?.Invoke((ShardId)arguments[0]!, (LogIndex)arguments[1]!);
                break;
            case nameof(INodeEvents.MemberChanged):
                MemberChanged?.Invoke((NodeId)arguments[1]!, (MemberState)arguments[2]!);
                break;
            case nameof(INodeEvents.TornLogTailCut):
                _statistics.TornTails++;
                break;
            default:
                break;
        }

        _world.Say("log", () => $"node {Index} {name}({string.Join(", ", arguments)})");
    }

    // An error that the disk gave, not one of the engine's own that came out as an I/O error.
    private static bool IsOfDisk(Exception? cause)
    {
        while (cause is { InnerException: { } inner })
        {
            cause = inner;
        }

        return cause is IOException;
    }

    // Only while the nemesis holds the disk full does that explain anything.
    private bool IsOfFullDisk(Exception? e) =>
        Files.CapacityBytes != long.MaxValue && e is (DiskFullException or HengeException { Code: ErrorCode.DiskFull });

    private void RunWork(int lane, IWorkItem item)
    {
        if (_blocked.TryGetValue(lane, out List<IWorkItem>? waiting))
        {
            waiting.Add(item);
        }
        else
        {
            item.Run();
        }
    }

    private void Tick(int epoch)
    {
        if (epoch != Epoch || Node is null)
        {
            return;
        }

        Plan(0, "tick", Node.Tick);
        _world.AfterMs(_options.TickMs, () => Tick(epoch));
    }

    private FaultDecision OnFileOperation(FileOperation operation)
    {
        Work.Syncs += operation.Kind == FileOperationKind.Sync ? 1 : 0;

        // A disk that fails while the node starts is only a later start; what is of interest is a failure under load.
        if (
            FailNextSync
            && Node is not null
            && operation.Kind == FileOperationKind.Sync
            && operation.Path.Contains("/log", StringComparison.Ordinal))
        {
            FailNextSync = false;
            _statistics.FailedDisks++;
            return FaultDecision.Fail;
        }

        return FaultDecision.None;
    }

    /// <summary>Workers: each lane's work is a step soon after.</summary>
    private sealed class Scheduler(SimNode node, long delayNs) : IWorkScheduler
    {
        private readonly int _epoch = node.Epoch;

        public void Schedule(int lane, IWorkItem item)
        {
            if (_epoch == node.Epoch)
            {
                node.Plan(node._random.Between(0, delayNs), "work", () => node.RunWork(lane, item));
            }
        }
    }

    /// <summary>Reads for other nodes: some are found in memory, some wait for the disk.</summary>
    private sealed class ReadScheduler(SimNode node) : IWorkScheduler
    {
        private readonly int _epoch = node.Epoch;

        public void Schedule(int lane, IWorkItem item)
        {
            if (_epoch == node.Epoch)
            {
                node.Plan(node._random.Between(10_000, 2_000_000), "read for others", item.Run);
            }
        }
    }

    /// <summary>The log's writer: its step takes as long as the disk does.</summary>
    private sealed class DiskScheduler(SimNode node) : IWorkScheduler
    {
        private readonly int _epoch = node.Epoch;

        public void Schedule(int lane, IWorkItem item)
        {
            if (_epoch == node.Epoch)
            {
                node.Plan(node._random.Between(50_000, node.DiskDelayNs), "disk", item.Run);
            }
        }
    }

    /// <summary>
    /// Flushes and compactions, step by step: each is held between any two steps for a while, and everything else goes on.
    /// </summary>
    private sealed class SimBackground : IBackgroundScheduler
    {
        private readonly SimNode _node;
        private readonly InlineScheduler _jobs;
        private readonly int _epoch;
        private bool _planned;

        public SimBackground(SimNode node)
        {
            _node = node;
            _epoch = node.Epoch;
            _jobs = new InlineScheduler(node._random.Next);
        }

        public bool HasThreads => false;

        public void Schedule(BackgroundKind kind, IEnumerator<BackgroundPoint> job)
        {
            _jobs.Schedule(kind, job);
            Plan(_node._random.Between(100_000, 20_000_000));
        }

        public void ScheduleLater(BackgroundKind kind, TimeSpan delay, Action call)
        {
            if (_epoch == _node.Epoch)
            {
                _node.Plan((long)(delay.TotalMilliseconds * 1e6), "background", call);
            }
        }

        public bool TryRunOne() => _jobs.TryRunOne();

        public void Pause(TimeSpan time)
        {
            // Rates are kept by real time only.
        }

        public void Dispose() => _jobs.Dispose();

        private void Plan(long delayNs)
        {
            if (_epoch != _node.Epoch || _planned)
            {
                return;
            }

            // Opening schedules before the node is there; the step comes after that.
            _planned = true;
            _node._world.After(delayNs, () =>
            {
                if (_epoch == _node.Epoch && _node.Node is not null)
                {
                    _node.Plan(0, "background", Step);
                }
            });
        }

        private void Step()
        {
            _planned = false;
            if (_jobs.TryRunOne())
            {
                Plan(_node._random.Between(10_000, 2_000_000));
            }
        }
    }
}

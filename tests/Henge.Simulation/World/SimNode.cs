using Henge.Core;
using Henge.Node;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Replication;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Settings;
using Henge.Testing;
using Henge.Testing.Files;

namespace Henge.Simulation.World;

/// <summary>One simulated machine: its disk, its clocks, and the real node that runs on it while it is up.</summary>
internal sealed partial class SimNode : IFatalErrorHandler
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

    /// <summary>An operator has given it up for lost in a recovery. It may go on with others of its kind, by the old history.</summary>
    public bool IsGivenUp { get; set; }

    /// <summary>Its disk is gone for good, and it does not start any more.</summary>
    public bool IsLost { get; set; }

    /// <summary>The highest that its history had begun at when it crashed: it may begin lower again afterwards.</summary>
    public Core.Version FloorAtCrash { get; private set; }

    /// <summary>Called when the node tells that a member came, changed or left.</summary>
    public Action<NodeId, MemberState>? MemberChanged { get; set; }

    /// <summary>Rises with each crash: what was planned before does not happen any more.</summary>
    public int Epoch { get; private set; }

    /// <summary>Called with everything that the node says happens to it, in the middle of that.</summary>
    public Action<string, object?[]>? Stepped { get; set; }

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
        FloorAtCrash = node is not null && node.Parts.Context.History.Floor > FloorAtCrash
            ? node.Parts.Context.History.Floor
            : FloorAtCrash;
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
}

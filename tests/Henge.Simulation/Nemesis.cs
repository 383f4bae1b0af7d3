using Henge.Core;
using Henge.Node.Api;
using Henge.Raft;
using Henge.Simulation.Clients;
using Henge.Simulation.World;
using Henge.Testing.Files;

namespace Henge.Simulation;

/// <summary>Makes things go wrong, at random, any number of them at once; and in the end makes them right again.</summary>
internal sealed partial class Nemesis(SimCluster cluster)
{
    private readonly SimRandom _random = cluster.World.Random.Fork();
    private readonly HashSet<(int Shard, ulong Term)> _hunted = [];
    private SimOperator? _operator;
    private SimMover? _mover;
    private SimPlanner? _planner;
    private bool _over;

    /// <summary>Who changes members and settings of a cluster that plans for itself; null where none does.</summary>
    public SimPlanner? Planner => _planner;

    private SimWorld World => cluster.World;

    private SimStatistics Statistics => cluster.Statistics;

    /// <summary>Begins.</summary>
    public void Start()
    {
        NetworkFaults faults = cluster.Network.Faults;
        faults.LossPerMille = _random.Pick<int>([0, 0, 5, 30]);
        faults.DuplicatePerMille = _random.Pick<int>([0, 0, 5, 50]);
        faults.ReorderPerMille = _random.Pick<int>([0, 0, 5, 50]);
        faults.DelayNs = _random.Pick<long>([100_000, 500_000, 3_000_000]);

        // Late enough, at times, for a sender to have given up and a leader to have gone and come back.
        faults.LateNs = _random.Pick<long>([300_000_000, 3_000_000_000]);
        if (cluster.HasShortSessions)
        {
            // A frame must not be late by as much as a session lives (docs/decisions/0134-sessions-that-have-ended.md).
            faults.LateNs = 300_000_000;
        }

        World.AfterMs(_random.Between(200, 1500), Turn);
        SimRandom ofOperator = _random.Fork();
        if (cluster.IsPlanned)
        {
            _planner = new SimPlanner(cluster, ofOperator);
            _planner.Start();
        }
        else if (cluster.IsElastic)
        {
            _mover = new SimMover(cluster, ofOperator);
            _mover.Start();
        }
        else
        {
            _operator = new SimOperator(cluster, ofOperator);
            _operator.Start();
        }

        StartDamage();
        if (cluster.ByLease && cluster.Nodes.Count == 3)
        {
            World.AfterMs(_random.Between(500, 2_000), AttackLease);
        }

        if (cluster.Hunt != HuntKind.None)
        {
            faults.DelayNs = _random.Pick<long>([500_000, 3_000_000]);
        }

        foreach (SimNode node in cluster.Nodes)
        {
            node.LeadershipChanged = () => World.After(0, () =>
            {
                Hunt(node);
                DeceiveRestarted(node);
            });
        }
    }

    /// <summary>Ends all faults and starts what is down.</summary>
    public void Stop()
    {
        _over = true;
        _operator?.EndFaults();
        _mover?.EndFaults();
        _planner?.EndFaults();
        NetworkFaults faults = cluster.Network.Faults;
        (faults.LossPerMille, faults.DuplicatePerMille, faults.ReorderPerMille, faults.DelayNs) = (0, 0, 0, 500_000);
        cluster.Network.Heal();
        foreach (SimNode node in cluster.Nodes)
        {
            (node.Clock.SkewMs, node.DiskDelayNs, node.FailNextSync, node.Files.CapacityBytes) = (
                node.Clock.SkewMs,
                300_000,
                false,
                long.MaxValue);
            node.Clock.SetDrift(0);
            node.Files.CrashAt = null;
            node.Resume();
            node.SetRight();
            for (int lane = 0; lane < node.Workers; lane++)
            {
                node.Unblock(lane);
            }

            if (node.Node is null)
            {
                Statistics.Restarts++;
                node.Start();
            }
        }
    }

    private void Turn()
    {
        if (_over)
        {
            return;
        }

        SimNode node = _random.Pick(cluster.Nodes);
        switch (_random.Next(19))
        {
            case 0:
                Partition();
                break;
            case 1:
                OneWay(node);
                break;
            case 2:
                Partial();
                break;
            case 3 or 4:
                Crash(node);
                break;
            case 5:
                node.Files.CrashAt = node.Files.OperationCount + _random.Between(1, 60);
                break;
            case 6:
                Statistics.Pauses++;
                node.Pause(_random.Between(20, 2_500));
                break;
            case 7:
                JumpClock(node);
                break;
            case 8:
                Statistics.ClockDrifts++;
                // Two clocks must not differ by more than 13% for leases: see RaftOptions.LeaseDriftTicks.
                int most = cluster.ByLease ? 50_000 : 100_000;
                node.Clock.SetDrift((int)_random.Between(-most, most));
                break;
            case 9:
                Statistics.SlowDisks++;
                node.DiskDelayNs = _random.Pick<long>([300_000, 20_000_000, 200_000_000]);
                break;
            case 10:
                node.FailNextSync = true;
                break;
            case 11:
                Fill(node);
                break;
            case 12:
                Transfer(node);
                break;
            case 13 or 14:
                _operator?.Disturb();
                break;
            case 15 or 16:
                Statistics.WorkersBlocked++;
                node.BlockWorker(_random.Next(node.Workers), _random.Between(20, 2_500));
                break;
            case 17:
                Statistics.Suspends++;
                node.Suspend(_random.Between(20, 2_500));
                break;
            default:
                CrashAll();
                break;
        }

        World.AfterMs(cluster.Hunt != HuntKind.None ? _random.Between(300, 4_000) : _random.Between(30, 900), Turn);
    }

    /// <summary>
    /// In some runs every new leader of the first shard is cut off, or stands still, as soon as it leads, and the one before is let back
    /// in: terms full of entries that hardly anybody has, each with another end (Raft paper, figure 8).
    /// </summary>
    private void Hunt(SimNode node)
    {
        if (
            cluster.Hunt == HuntKind.None
            || _over
            || node.ReplicaOf(0)?.Group is not { Role: RaftRole.Leader } group
            || !_hunted.Add((0, group.Term.Value)))
        {
            return;
        }

        // Before anybody has its first entry, or when the first of them have some.
        long delayNs = cluster.Network.Faults.DelayNs;
        World.After(_random.PerMille(500) ? _random.Between(0, delayNs) : _random.Between(delayNs, 8 * delayNs), () =>
        {
            if (_over || node.Node is null)
            {
                return;
            }

            Statistics.LeadersHunted++;
            if (cluster.Hunt == HuntKind.Pause)
            {
                // When it wakes up, what it was asked meanwhile waits for it, and it does not know yet that another one leads.
                Statistics.Pauses++;
                node.Pause(_random.Between(300, 1_500));
                return;
            }

            cluster.Network.Heal();
            cluster.Network.Isolate(node.Index);
        });
    }

    private void Partition()
    {
        Statistics.Partitions++;
        int inside = 1 + _random.Next(Math.Max(1, cluster.Nodes.Count - 1));
        int[] order = [.. cluster.Nodes.Select(static n => n.Index).OrderBy(_ => _random.NextUInt64())];
        foreach (int a in order[..inside])
        {
            foreach (int b in order[inside..])
            {
                cluster.Network.Cut(a, b);
                cluster.Network.Cut(b, a);
            }
        }

        HealLater();
    }

    private void OneWay(SimNode node)
    {
        Statistics.OneWayPartitions++;
        bool outward = _random.PerMille(500);
        foreach (SimNode other in cluster.Nodes)
        {
            if (other != node)
            {
                cluster.Network.Cut(outward ? node.Index : other.Index, outward ? other.Index : node.Index);
            }
        }

        HealLater();
    }

    private void Partial()
    {
        Statistics.PartialPartitions++;
        int a = _random.Next(cluster.Nodes.Count), b = _random.Next(cluster.Nodes.Count);
        if (a != b)
        {
            cluster.Network.Cut(a, b);
            cluster.Network.Cut(b, a);
        }

        HealLater();
    }

    /// <summary>
    /// Clocks are off by milliseconds up to decades and jump while they run; a majority stays within half a second of the truth in three
    /// runs of four, so that times to live can be held to it.
    /// </summary>
    private void JumpClock(SimNode node)
    {
        Statistics.ClockJumps++;
        if (!cluster.WrongClocks.Contains(node.Index))
        {
            node.Clock.SkewMs = _random.Between(-SimCluster.HonestSkewMs, SimCluster.HonestSkewMs);
            return;
        }

        if (cluster.Founders == 1)
        {
            // The one clock there is may take times to live along, but not history, which the checks need.
            node.Clock.SkewMs = _random.Between(_random.PerMille(500) ? -20_000 : -50 * 366L * 86_400_000, 1_000_000);
            return;
        }

        long most = _random.Pick<long>([20_000, 7_200_000, 366L * 86_400_000, 80 * 366L * 86_400_000]);
        Statistics.ClockErrors += most > 20_000 ? 1 : 0;
        node.Clock.SkewMs = _random.PerMille(200) ? 0 : _random.Between(-Math.Min(most, 50 * 366L * 86_400_000), most);
    }

    private void HealLater() => World.AfterMs(_random.Between(100, 4_000), cluster.Network.Heal);

    private void Crash(SimNode node)
    {
        if (node.Node is null)
        {
            return;
        }

        CrashMode mode = Mode();
        node.Crash(mode);
        node.RestartLater();
    }

    /// <summary>The power of the whole room.</summary>
    private void CrashAll()
    {
        if (!_random.PerMille(400))
        {
            return;
        }

        foreach (SimNode node in cluster.Nodes)
        {
            Crash(node);
        }
    }

    private CrashMode Mode()
    {
        switch (_random.Next(3))
        {
            case 0:
                Statistics.CrashesLosingAll++;
                return CrashMode.LoseAllUnsynced;
            case 1:
                Statistics.CrashesLosingNone++;
                return CrashMode.KeepAll;
            default:
                Statistics.CrashesLosingPart++;
                return CrashMode.LoseRandomPart;
        }
    }

    private void Fill(SimNode node)
    {
        Statistics.FullDisks++;
        node.Files.CapacityBytes = node.Files.UsedBytes + _random.Next(40_000);
        World.AfterMs(_random.Between(200, 3_000), () => node.Files.CapacityBytes = long.MaxValue);
    }

    private void Transfer(SimNode node)
    {
        if (node.Node is null || node.IsPaused || cluster.Nodes.Count == 1)
        {
            return;
        }

        var shard = new ShardId((uint)_random.Next(cluster.Shards));
        var to = new NodeId((ulong)_random.Next(cluster.Nodes.Count) + 1);
        node.Guard("transfer", () =>
        {
            try
            {
                node.Node.TransferLeader(shard, to);
                Statistics.LeaderTransfers++;
            }
            catch (HengeException e) when (e.Code is ErrorCode.NotLeader or ErrorCode.InvalidArgument || (e.Code == ErrorCode.Unavailable
                && cluster.Victim is not null))
            {
                // Only leaders can hand over; the wish was made to somebody else.
                World.Note("no-transfer", node.Index);
            }
        });
    }
}

using System.Globalization;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Settings;
using Henge.Testing.Files;

namespace Henge.Node.Tests.Clusters;

/// <summary>
/// Random crashes, partitions, pauses, clock jumps and lossy networks over whole clusters with tiny limits. Each key has one writer, who
/// appends to it with a session and retries what he does not know of, and many readers: so what a read may say is bounded by what was
/// acknowledged before it began and what was begun before it ended.
/// </summary>
public sealed class ChaosTests
{
    private const int Keys = 6;

    static ChaosTests() => Invariant.Failed = static message => throw new InvalidOperationException(message);

    [Fact]
    public void Nothing_acknowledged_is_lost_or_doubled_and_no_read_is_stale()
    {
        (int from, int count) = Seeds(12);
        for (int seed = from; seed < from + count; seed++)
        {
            Run((ulong)seed, 4_000);
        }
    }

    private static (int From, int Count) Seeds(int usual)
    {
        string? asked = Environment.GetEnvironmentVariable("HENGE_CHAOS_SEEDS");
        string? from = Environment.GetEnvironmentVariable("HENGE_CHAOS_FROM");
        return (
            from is null ? 1 : int.Parse(from, CultureInfo.InvariantCulture),
            asked is null ? usual : int.Parse(asked, CultureInfo.InvariantCulture));
    }

    private static void Run(ulong seed, int faultMs)
    {
        try
        {
            new Chaos(seed).Run(faultMs);
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"seed {seed}: {e.Message}", e);
        }
    }

    private sealed class Chaos
    {
        private readonly ClusterHarness _cluster;
        private readonly Random _random;
        private readonly Writer[] _writers;
        private readonly List<(HarnessOperation Get, HarnessNode Node, Writer Writer, int AtLeast)> _reads = [];
        private readonly Dictionary<HarnessNode, long> _wakeAt = [];

        public Chaos(ulong seed)
        {
            _cluster = new ClusterHarness(3, seed, static o => o with
            {
                LogSegmentBytes = 32 * 1024,
                LogBudgetBytes = 96 * 1024,
                LogKeepEntries = 20,
                SnapshotChunkBytes = 1024,
                EntryBytes = 4 * 1024,
                DefaultDeadlineMs = 800,
                Limits = new NodeLimits { CommandBytes = 8 * 1024 },
                BalanceIntervalMs = 500,
                HistoryMs = 1_000,
            })
            {
                EngineOptions = new LsmOptions { Directory = "", MemTableBytes = 16 * 1024, MemoryBytes = 1 << 20 },
            };
            _random = _cluster.Random;
            _writers = [.. Enumerable.Range(0, Keys).Select(static i => new Writer($"key{i}", (ulong)i + 100))];
        }

        public void Run(int faultMs)
        {
            _cluster.Network.DelayMaxMs = _random.Next(1, 30);
            _cluster.Network.LossRate = _random.NextDouble() * 0.1;
            _cluster.Network.RepeatRate = _random.NextDouble() * 0.1;
            for (int ms = 0; ms < faultMs; ms++)
            {
                Fault();
                Work();
                _cluster.Run(1);
                Collect();
            }

            End();
        }

        private void Fault()
        {
            foreach (HarnessNode node in _wakeAt.Keys.ToArray())
            {
                if (_wakeAt[node] <= _cluster.NowMs)
                {
                    _wakeAt.Remove(node);
                    node.IsPaused = false;
                    if (!node.IsRunning)
                    {
                        node.Start();
                    }
                }
            }

            foreach (HarnessNode node in _cluster.Nodes)
            {
                Assert.True(node.FatalMessage is null, node.FatalMessage);
            }

            if (_random.Next(150) != 0)
            {
                return;
            }

            HarnessNode victim = _cluster.Nodes[_random.Next(3)];
            switch (_random.Next(7))
            {
                case 0 or 1 when victim.IsRunning:
                    victim.Crash((CrashMode)_random.Next(3));
                    victim.IsPaused = false;
                    _wakeAt[victim] = _cluster.NowMs + _random.Next(1_500);
                    break;
                case 2 when victim.IsRunning && !victim.IsPaused:
                    victim.IsPaused = true;
                    _wakeAt[victim] = _cluster.NowMs + _random.Next(1_000);
                    break;
                case 3:
                    _cluster.Network.Isolate(victim.Id, _cluster.Nodes.Select(static n => n.Id));
                    break;
                case 4:
                    _cluster.Network.Cut(victim.Id, _cluster.Nodes[_random.Next(3)].Id);
                    break;
                case 5:
                    victim.Time.SkewMs = _random.Next(-2_000, 2_000);
                    break;
                default:
                    _cluster.Network.Heal();
                    break;
            }
        }

        private void Work()
        {
            foreach (Writer writer in _writers)
            {
                if (writer.Open is null && _random.Next(4) == 0 && Pick() is { } node)
                {
                    writer.Begin(node);
                }
            }

            if (_random.Next(3) == 0 && Pick() is { } reader)
            {
                Writer writer = _writers[_random.Next(Keys)];
                HarnessOperation get = HarnessOperation.Get(writer.Key);
                _reads.Add((get, reader, writer, writer.SureLength));
                reader.Running.Submit(get);
            }
        }

        private HarnessNode? Pick()
        {
            HarnessNode node = _cluster.Nodes[_random.Next(3)];
            return node.IsRunning && !node.IsPaused ? node : null;
        }

        private void Collect()
        {
            foreach (Writer writer in _writers)
            {
                writer.Collect();
            }

            for (int i = _reads.Count - 1; i >= 0; i--)
            {
                (HarnessOperation get, HarnessNode node, Writer writer, int atLeast) = _reads[i];
                if (!node.IsRunning)
                {
                    _reads.RemoveAt(i);
                }
                else if (get.IsDone)
                {
                    _reads.RemoveAt(i);
                    if (get.Error == ErrorCode.None)
                    {
                        writer.Check(node.Read(get) ?? "", atLeast, $"a read of {writer.Key} at {node.Name}");
                    }
                }
            }
        }

        private void End()
        {
            _cluster.Network.Heal();
            _cluster.Network.LossRate = 0;
            foreach (HarnessNode node in _cluster.Nodes)
            {
                node.IsPaused = false;
                if (!node.IsRunning)
                {
                    node.Start();
                }
            }

            _cluster.RunUntilLed(5_000);
            AwaitEqualReplicas();
            foreach (Writer writer in _writers)
            {
                for (int attempt = 0; writer.Open is not null || writer.Unsure; attempt++)
                {
                    Assert.True(attempt < 20, $"{writer.Key} does not get done: {writer.Open}\n{_cluster.Describe()}");
                    if (writer.Open is null)
                    {
                        writer.Begin(_cluster.Nodes[0]);
                    }

                    _cluster.Run(200);
                    writer.Collect();
                }

                foreach (HarnessNode node in _cluster.Nodes)
                {
                    writer.Check(
                        _cluster.Get(node, writer.Key) ?? "",
                        writer.SureLength,
                        $"the last read of {writer.Key} at {node.Name} {_cluster.Describe()}");
                }
            }

            AwaitEqualReplicas();
            for (uint s = 0; s < 4; s++)
            {
                Assert.Single(_cluster.Nodes.Select(n => n.Replica(s).Machine.StateHash()).Distinct());
            }
        }

        private void AwaitEqualReplicas() =>
            _cluster.RunUntil(
                () =>
                    Enumerable
                        .Range(0, 4)
                        .All(s =>
                            _cluster.Nodes.All(n =>
                                n.Replica((uint)s).Group.AppliedIndex == _cluster.LeaderOf((uint)s)?.Replica((uint)s).Group.LastIndex)),
                10_000,
                "equal replicas");
    }

    /// <summary>Appends its numbers to a key, one after the other, each until it is sure that it is there.</summary>
    private sealed class Writer(string key, ulong client)
    {
        private HarnessNode? _node;

        public string Key => key;

        public HarnessOperation? Open { get; private set; }

        public int Begun { get; private set; }

        public List<string> History { get; } = [];

        public int Sure { get; private set; }

        public bool Unsure => Begun > Sure;

        public int SureLength => Sure;

        public void Begin(HarnessNode node)
        {
            if (!Unsure)
            {
                Begun++;
            }

            History.Add($"{node.Time.NowMs}: begins {Begun} at {node.Name}");
            Open = HarnessOperation.Append(key, Text(Begun), new SessionStamp(client, (ulong)Begun));
            _node = node;
            node.Running.Submit(Open);
        }

        public void Collect()
        {
            if (Open is null)
            {
                return;
            }

            if (Open.IsDone)
            {
                Assert.Equal(1, Open.Completions);
                if (Open.Error == ErrorCode.None)
                {
                    Sure = Begun;
                }

                History.Add(
                    $"{_node!.Time.NowMs}: {Open} version {Open.Version} result {Convert.ToHexString(Open.Result.Span)} at {_node.Name}");

                Open = null;
            }
            else if (!_node!.IsRunning)
            {
                Open = null;
            }
        }

        public void Check(string value, int atLeast, string what)
        {
            int count = value.Length / 4;
            string expected = string.Concat(Enumerable.Range(1, count).Select(Text));
            Assert.True(
                value == expected,
                $"{what} gave {value[Math.Max(0, value.Length - 40)..]}, which is no prefix of what was "
                    + $"written\n{string.Join('\n', History)}");
            Assert.True(
                count >= atLeast && count <= Begun,
                $"{what} gave {count} of {Begun} appends; {atLeast} were acknowledged before it began");
        }

        private static string Text(int number) => number.ToString("D3", CultureInfo.InvariantCulture) + ";";
    }
}

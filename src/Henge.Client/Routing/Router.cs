using System.Collections.Concurrent;
using Henge.Client.Settings;
using Henge.Client.Transport;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Routing;

/// <summary>
/// Says whom to ask: the leader of a key's shard where it is known and in health, else the nodes in turn. Remembers for a moment which
/// nodes could not be reached. Thread-safe; a choice takes no lock.
/// </summary>
internal sealed class Router
{
    private readonly HengeClientOptions _options;
    private readonly ClusterPin _pin;
    private readonly string[] _seeds;
    private readonly ConcurrentDictionary<string, NodeHealth> _health = [];
    private readonly Lock _lock = new();
    private volatile ClusterMap _map;
    private int _turn;

    public Router(HengeClientOptions options, ClusterPin? pin = null)
    {
        _pin = pin ?? new ClusterPin(options.ClusterId);
        _options = options;
        _seeds = options.Peers.Count == 0 ? [PeerAddress.Default] : [.. options.Peers.Select(PeerAddress.Parse).Distinct()];
        _map = ClusterMap.Of(_seeds);
    }

    /// <summary>What is known now.</summary>
    public ClusterMap Map => _map;

    /// <summary>Where the client began.</summary>
    public IReadOnlyList<string> Seeds => _seeds;

    /// <summary>
    /// Whom to ask for a key (empty: any node). <paramref name="avoid"/> has just failed the caller, and is chosen only when there is
    /// nobody else.
    /// </summary>
    public string Choose(ReadOnlySpan<byte> key, string? avoid)
    {
        ClusterMap map = _map;
        if (_options.RouteToLeaders && key.Length > 0 && map.Shards is { } shards && map.LeaderOf(shards.ShardOf(key)) is { } leader
            && leader != avoid && IsUp(leader))
        {
            return leader;
        }

        return NextOf(map.Addresses, avoid);
    }

    private string NextOf(string[] addresses, string? avoid)
    {
        // A program that does one thing asks the first node that it was told of; a long-lived one spreads over all, once it knows that they
        // are of one cluster.
        int turn =
            (avoid is null && !_options.RouteToLeaders) || (_pin.Id is null && ReferenceEquals(addresses, _seeds))
                ? 0
                : (Interlocked.Increment(ref _turn) & int.MaxValue) % addresses.Length;
        string? second = null;
        for (int i = 0; i < addresses.Length; i++)
        {
            string address = addresses[(turn + i) % addresses.Length];
            if (address == avoid)
            {
                continue;
            }

            if (IsUp(address))
            {
                return address;
            }

            second ??= address;
        }

        return second ?? addresses[turn];
    }

    /// <summary>True unless the node could not be reached a moment ago.</summary>
    public bool IsUp(string address) =>
        !_health.TryGetValue(address, out NodeHealth? health) || health.IsUp(_options.TimeProvider.GetTimestamp());

    /// <summary>The node answered.</summary>
    public void OnReached(string address)
    {
        if (_health.TryGetValue(address, out NodeHealth? health) && health.Failures > 0)
        {
            _health.TryRemove(address, out _);
        }
    }

    /// <summary>The node could not be reached: it is asked last for a while, longer each time, up to two seconds.</summary>
    public void OnUnreachable(string address)
    {
        // Addresses come from answers as well; what no map names any more is not worth remembering.
        if (_health.Count > 1000)
        {
            _health.Clear();
        }

        int failures = (_health.TryGetValue(address, out NodeHealth? health) ? health.Failures : 0) + 1;
        double waitSeconds = Math.Min(0.05 * (1 << Math.Min(failures - 1, 10)), 2);
        TimeProvider time = _options.TimeProvider;
        _health[address] = new NodeHealth(failures, time.GetTimestamp() + (long)(waitSeconds * time.TimestampFrequency));
    }

    /// <summary>A node named the leader of a key's shard; null: the node that was asked is not it.</summary>
    public void OnLeaderHint(ReadOnlySpan<byte> key, string? leader)
    {
        if (key.Length == 0 || _map.Shards is not { } shards)
        {
            return;
        }

        ShardId shard = shards.ShardOf(key);
        lock (_lock)
        {
            _map = _map.With(shard, leader);
        }
    }

    /// <summary>True once the client knows which cluster it belongs to.</summary>
    public bool KnowsCluster => _pin.Id is not null;

    /// <summary>A node told the whole topology; false when it is of another cluster than the client.</summary>
    public bool OnTopology(Wire.TopologyResponse topology)
    {
        if (!_pin.Accepts(topology.ClusterId))
        {
            return false;
        }

        ClusterMap map = ClusterMap.Of(topology);
        if (map.Addresses.Length == 0)
        {
            return true;
        }

        lock (_lock)
        {
            _map = map;
        }

        return true;
    }

    private sealed class NodeHealth(int failures, long downUntil)
    {
        public int Failures => failures;

        public bool IsUp(long now) => now >= downUntil;
    }
}

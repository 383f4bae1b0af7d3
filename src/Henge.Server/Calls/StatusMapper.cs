using System.Globalization;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.V1;
using Henge.Server.Operations;
using Henge.Storage;
using ShardStatus = Henge.Node.Api.ShardStatus;

namespace Henge.Server.Calls;

/// <summary>Turns a node's state into its message. Pure functions.</summary>
internal static class StatusMapper
{
    public static StatusResponse ToMessage(IHengeNode node, bool isInsecure)
    {
        NodeStatus status = node.GetStatus();
        Topology topology = node.GetTopology();
        StatusResponse response = new()
        {
            NodeId = status.Name,
            Role = Name(RoleOf(status.Shards)),
            ClusterId = status.ClusterId,
            Version = Product.Version,
            UptimeMs = (ulong)status.UptimeMs,
            Address = status.Address,
            Insecure = isInsecure,
            Engine = ToMessage(status),
            Log = new LogStatus { Bytes = (ulong)status.LogBytes, Segments = (uint)status.LogSegments, Syncs = (ulong)status.LogSyncs },
        };
        response.Clock = new Protocol.V1.ClockStatus
        {
            Known = status.Clock.IsKnown,
            SkewMs = status.Clock.SkewMs,
            Overruled = status.Clock.IsOverruled,
            VersionLeadMs = (ulong)status.Clock.VersionLeadMs,
        };
        response.Elections = ToMessage(status.Activity);
        response.RefusedPeers.AddRange(status.RefusedPeers);
        foreach (ShardStatus shard in status.Shards)
        {
            // One group's numbers in the fields of the API's ancestor; sums, which only grow, when there are several.
            response.Term = Math.Max(response.Term, shard.Term.Value);
            response.CommittedIndex += shard.Committed.Value;
            response.AppliedIndex += shard.Applied.Value;
            response.Shards.Add(ToMessage(shard, topology));
        }

        response.LeaderId = response.Role == Name(ReplicaRole.Leader) ? status.Name : NameOf(FirstLeader(status.Shards), topology);
        foreach (NodeEntry entry in topology.Nodes)
        {
            if (entry.Id != status.Id)
            {
                response.Peers.Add(entry.Address);
            }
        }

        return response;
    }

    /// <summary>A node's name; its number when it is not in the topology, empty for none.</summary>
    /// <summary>A member.</summary>
    public static NodeInfo ToMessage(NodeEntry member) => new()
    {
        NodeId = member.Name,
        Address = member.Address,
        Number = member.Id.Value,
        State = member.State.ToString().ToLowerInvariant(),
        Zone = member.Zone ?? "",
        Weight = (uint)member.Weight,
    };

    public static string NameOf(NodeId id, Topology topology)
    {
        foreach (NodeEntry entry in topology.Nodes)
        {
            if (entry.Id == id)
            {
                return entry.Name;
            }
        }

        return id.IsNone ? "" : id.Value.ToString(CultureInfo.InvariantCulture);
    }

    private static ElectionStatus ToMessage(NodeActivity activity)
    {
        ElectionStatus message = new() { Won = (ulong)activity.ElectionsWon };
        foreach (ElectionTime time in activity.ElectionTimes)
        {
            message.RoundUs.Add((ulong)time.Round.TotalMicroseconds);
            message.WithPrevoteUs.Add((ulong)time.WithPreVote.TotalMicroseconds);
        }

        return message;
    }

    private static EngineStatus ToMessage(NodeStatus status)
    {
        EngineStatistics engine = status.Engine;
        EngineStatus message = new()
        {
            Name = status.EngineName,
            MemtableBytes = (ulong)engine.MemTableBytes,
            TableBytes = (ulong)engine.TableBytes,
            CacheBytes = (ulong)engine.BlockCacheBytes,
            Entries = (ulong)engine.Entries,
            WriteAmplification = engine.WriteAmplification,
        };
        foreach (LevelStatistics level in engine.Levels)
        {
            message.Levels.Add(new LevelStatus { Level = (uint)level.Level, Tables = (uint)level.Tables, Bytes = (ulong)level.Bytes });
        }

        return message;
    }

    private static ReplicaRole RoleOf(IReadOnlyList<ShardStatus> shards)
    {
        ReplicaRole[] byRank = [ReplicaRole.Leader, ReplicaRole.Candidate, ReplicaRole.Follower, ReplicaRole.Learner];
        foreach (ReplicaRole role in byRank)
        {
            if (shards.Any(shard => shard.Role == role))
            {
                return role;
            }
        }

        return ReplicaRole.Follower;
    }

    private static NodeId FirstLeader(IReadOnlyList<ShardStatus> shards)
    {
        foreach (ShardStatus shard in shards)
        {
            if (!shard.Leader.IsNone)
            {
                return shard.Leader;
            }
        }

        return NodeId.None;
    }

    private static Protocol.V1.ShardStatus ToMessage(ShardStatus shard, Topology topology)
    {
        Protocol.V1.ShardStatus message = new()
        {
            Shard = shard.Shard.Value,
            Role = Name(shard.Role),
            Term = shard.Term.Value,
            LeaderId = NameOf(shard.Leader, topology),
            CommittedIndex = shard.Committed.Value,
            AppliedIndex = shard.Applied.Value,
            LastIndex = shard.Last.Value,
            FirstIndex = shard.First.Value,
            LastVersion = shard.LastVersion.Value,
            Error = shard.Error ?? "",
        };
        foreach (PeerProgress peer in shard.Peers)
        {
            message.Peers.Add(new PeerStatus
            {
                NodeId = NameOf(peer.Node, topology),
                MatchIndex = peer.Match.Value,
                State = peer.State,
                Learner = peer.Learner,
                Active = peer.Active,
            });
        }

        return message;
    }

    private static string Name(ReplicaRole role) => role switch
    {
        ReplicaRole.Leader => "leader",
        ReplicaRole.Candidate => "candidate",
        ReplicaRole.Learner => "learner",
        _ => "follower",
    };
}

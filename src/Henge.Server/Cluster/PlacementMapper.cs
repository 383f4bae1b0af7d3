using System.Globalization;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.V1;
using Henge.Server.Calls;
using PlacementProblem = Henge.Node.Api.PlacementProblem;

namespace Henge.Server.Cluster;

/// <summary>Turns what a node says of placement and changes into messages. Pure functions.</summary>
internal static class PlacementMapper
{
    /// <summary>Where replicas are to be.</summary>
    public static PlacementResponse ToMessage(PlacementStatus status, string self)
    {
        Names names = new(status.Members);
        PlacementResponse response = new()
        {
            Generation = status.Generation,
            ReplicationFactor = (uint)status.ReplicationFactor,
            PlannerId = names.Of(status.Planner),
        };
        response.Members.AddRange(status.Members.Select(StatusMapper.ToMessage));
        response.CatalogVoters.AddRange(names.Of(status.CatalogVoters));
        foreach (Node.Api.ShardTarget shard in status.Shards)
        {
            Protocol.V1.ShardTarget message = new() { Shard = shard.Shard.Value, LeaderId = names.Of(shard.Leader) };
            message.Voters.AddRange(names.Of(shard.Voters));
            message.Learners.AddRange(names.Of(shard.Learners));
            message.Followed.AddRange(names.Of(shard.Followed));
            message.Planned.AddRange(names.Of(shard.Planned));
            response.Shards.Add(message);
        }

        response.Settings.AddRange(status.Settings.Select(static s => new Protocol.V1.ClusterSetting
        {
            Name = s.Name,
            Value = (ulong)s.Value,
            DefaultValue = (ulong)s.Default,
            Set = s.IsSet,
            Unit = s.Unit,
            Least = (ulong)s.Least,
            Most = (ulong)s.Most,
            Text = s.Text,
        }));
        foreach (MoveStatus move in status.Moves)
        {
            ShardMove message = new()
            {
                Shard = move.Shard.Value,
                LeaderId = self,
                Step = move.Step,
                Wait = move.Wait,
                EntriesLeft = move.EntriesLeft,
                BytesLeft = (ulong)move.BytesLeft,
                BytesSent = (ulong)move.BytesSent,
                StalledMs = (ulong)move.StalledMs,
                Stuck = move.IsStuck,
            };
            message.WaitsFor.AddRange(names.Of(move.WaitsFor));
            response.Moves.Add(message);
        }

        response.Problems.AddRange(status.Problems.Select(p => ToMessage(p, names)));
        return response;
    }

    /// <summary>What a change comes to.</summary>
    public static ChangeResponse ToMessage(ClusterChangeAnswer answer, IReadOnlyList<NodeEntry> members)
    {
        Names names = new(members);
        ChangeResponse response = new()
        {
            Done = answer.IsDone,
            Refusal = answer.Refusal,
            State = answer.State?.ToString().ToLowerInvariant() ?? "",
            Copies = (uint)answer.Copies,
            Removals = (uint)answer.Removals,
            LeaderChanges = (uint)answer.LeaderChanges,
        };
        response.Losses.AddRange(answer.Losses);
        response.Problems.AddRange(answer.Problems.Select(p => ToMessage(p, names)));
        response.Loads.AddRange(answer.Loads.Select(load => new NodeLoad
        {
            NodeId = names.Of(load.Id),
            Before = (uint)load.Before,
            After = (uint)load.After,
            Leads = (uint)load.Leads,
            Fair = load.Fair,
        }));
        return response;
    }

    private static Protocol.V1.PlacementProblem ToMessage(PlacementProblem problem, Names names)
    {
        Protocol.V1.PlacementProblem message = new() { Kind = problem.Kind, Text = problem.Text };
        message.Shards.AddRange(problem.Shards.Select(static s => s.Value));
        message.Nodes.AddRange(names.Of(problem.Members));
        return message;
    }

    private sealed class Names(IReadOnlyList<NodeEntry> members)
    {
        private readonly Dictionary<NodeId, string> _byId = members.ToDictionary(static m => m.Id, static m => m.Name);

        public string Of(NodeId id) =>
            id.IsNone ? "" : _byId.GetValueOrDefault(id) ?? id.Value.ToString(CultureInfo.InvariantCulture);

        public IEnumerable<string> Of(IEnumerable<NodeId> ids) => ids.Select(Of);
    }
}

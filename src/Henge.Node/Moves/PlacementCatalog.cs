using System.Buffers;
using System.Globalization;
using System.Text;
using Henge.Cluster.Planning;
using Henge.Core;
using Henge.Node.Catalog;
using Henge.Node.Context;
using Henge.Node.StateMachine;

namespace Henge.Node.Moves;

/// <summary>
/// Placements as they stand in the catalog, beside the members and settings that they are made from. Writes take effect only when members
/// and placements are as they were seen. Used by the thread that ticks.
/// </summary>
internal sealed class PlacementCatalog(NodeContext node, MemberCatalog members, TargetPlacement founding) : IPlacementCatalog
{
    private const long WriteMs = 10_000;
    private const int MostMoves = 4_096;
    private static readonly MoveLimits DefaultLimits = new();
    private CatalogView? _view;
    private PlacementState? _state;
    private int _writing;

    /// <summary>What was read last; null while nothing was. Thread-safe.</summary>
    public PlacementState? Latest => Volatile.Read(ref _state);

    /// <inheritdoc/>
    public PlacementState? Read()
    {
        CatalogView? view = members.View;
        if (view is null || view == _view)
        {
            return _state;
        }

        TargetPlacement followed = Placement(view, CatalogKeys.Placement) ?? _state?.Followed ?? founding;
        TargetPlacement goal = Placement(view, CatalogKeys.Plan) ?? _state?.Goal ?? followed;
        PlanMember[] all = [.. node.Members.All.Select(ToPlan)];
        var state = new PlacementState
        {
            Inputs = string.Join('\n', all.Select(static m => $"{m.Id} {m.Zone} {m.Weight} {m.State}"))
                + string.Join('\n', view.Settings.Select(static s => $"{s.Key}={s.Value}")),
            Members = all,
            MoveBytesPerSecond = Number(view, "move-rate", MoveRate.DefaultBytesPerSecond, long.MaxValue),
            Limits = new MoveLimits
            {
                Cluster = (int)Number(view, "moves", DefaultLimits.Cluster, MostMoves),
                Member = (int)Number(view, "moves-per-member", DefaultLimits.Member, MostMoves),
            },
            ReplicationFactor = (int)Number(view, CatalogKeys.ReplicationFactor, founding.ReplicationFactor, TargetPlacement.MaxReplicas),
            ReplaceAfterMs = Number(view, "replace-after-ms", PlanRequest.DefaultReplaceAfterMs, int.MaxValue),
            DownAfterMs = Number(view, "down-after-ms", NodeContext.DefaultDownAfterMs, int.MaxValue),
            RebalanceAsked = (ulong)Number(view, "rebalance", 0, int.MaxValue),
            RebalancePlanned = view.Placements.TryGetValue(CatalogKeys.Rebalanced, out (byte[] Value, Core.Version) planned)
                && ulong.TryParse(planned.Value, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number)
                ? number
                : 0,
            Goal = goal,
            Followed = followed,
        };
        Volatile.Write(ref _state, state);
        _view = view;
        return state;
    }

    /// <inheritdoc/>
    public void Write(PlacementState seen, TargetPlacement goal, TargetPlacement followed, ulong planned)
    {
        if (seen != _state || _view is not { } view || Interlocked.Exchange(ref _writing, 1) != 0)
        {
            return;
        }

        var txn = new TxnBuilder();
        txn.CompareVersion(Bytes(CatalogKeys.NextMember), CompareRelation.Equal, view.NextMemberVersion);
        foreach (string key in (string[])[CatalogKeys.Placement, CatalogKeys.Plan])
        {
            txn.CompareVersion(Bytes(key), CompareRelation.Equal, VersionOf(view, key));
        }

        Put(txn, CatalogKeys.Placement, followed.Encode());
        Put(txn, CatalogKeys.Plan, goal.Encode());
        Put(txn, CatalogKeys.Rebalanced, Bytes(planned.ToString(CultureInfo.InvariantCulture)));

        // Whoever leads the catalog plans anew when this was not done.
        members.Changes.Add(
            now => VersionOf(now, CatalogKeys.Placement) == VersionOf(view, CatalogKeys.Placement)
                && now.NextMemberVersion == view.NextMemberVersion
                ? CatalogStep.Write(txn)
                : CatalogStep.Done,
            node.MonotonicMs + WriteMs,
            _ => Interlocked.Exchange(ref _writing, 0));
    }

    /// <summary>Has a transaction write another plan, on the condition that it is as it was seen.</summary>
    public static void PutPlan(TxnBuilder txn, CatalogView seen, TargetPlacement plan)
    {
        foreach (string key in (string[])[CatalogKeys.Placement, CatalogKeys.Plan])
        {
            txn.CompareVersion(Bytes(key), CompareRelation.Equal, VersionOf(seen, key));
        }

        Put(txn, CatalogKeys.Plan, plan.Encode());
    }

    private TargetPlacement? Placement(CatalogView view, string key) =>
        view.Placements.TryGetValue(key, out (byte[] Value, Core.Version) entry)
            && TargetPlacement.TryDecode(entry.Value, out TargetPlacement? placement)
            && placement.ShardCount == node.Shards.Count
            ? placement
            : null;

    private static Core.Version VersionOf(CatalogView view, string key) =>
        view.Placements.TryGetValue(key, out (byte[], Core.Version Version) entry) ? entry.Version : default;

    private static long Number(CatalogView view, string setting, long other, long most) =>
        view.Settings.TryGetValue(setting, out string? text)
            && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long value)
            && value >= 1 && value <= most
            ? value
            : other;

    private static PlanMember ToPlan(MemberInfo member) => new()
    {
        Id = member.Id,
        Name = member.Name,
        Zone = member.Zone,
        Weight = Math.Clamp(member.Weight, 1, PlanMember.MaxWeight),
        State = member.State switch
        {
            Api.MemberState.Joining => MemberState.Joining,
            Api.MemberState.Up => MemberState.Up,
            Api.MemberState.Draining => MemberState.Draining,
            Api.MemberState.Leaving => MemberState.Leaving,
            _ => MemberState.Left,
        },
    };

    private static void Put(TxnBuilder txn, string key, ReadOnlySpan<byte> value)
    {
        var command = new ArrayBufferWriter<byte>();
        CommandEncoder.Put(command, Bytes(key), value, new PutOptions());
        txn.Then.Add(command.WrittenSpan);
    }

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}

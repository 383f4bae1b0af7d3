using Grpc.Core;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Calls;

namespace Henge.Server.Cluster;

/// <summary>
/// Recovers a cluster whose majorities are lost for ever (docs/decisions/0200-when-a-majority-is-lost.md): asks all nodes that are left
/// what they have, has the plan made, and has them carry it out, phase by phase. It keeps nothing: whichever node is asked can go on with
/// what another one began. Thread-safe.
/// </summary>
internal sealed class RecoveryCalls(IHengeNode node, PeerStatus peers)
{
    private static readonly TimeSpan ReportTimeout = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan PhaseTimeout = TimeSpan.FromSeconds(20);

    /// <summary>What this node has.</summary>
    public async Task<string> ReportAsync(CancellationToken cancellation)
    {
        TaskCompletionSource<string> answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        node.Recovery.Report(answered.SetResult);
        return await answered.Task.WaitAsync(cancellation);
    }

    /// <summary>Does a part of this node's part.</summary>
    public async Task AdoptAsync(string plan, RecoveryPhase phase, CancellationToken cancellation)
    {
        TaskCompletionSource answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        node.Recovery.Adopt(plan, phase, node.MonotonicMs + (long)PhaseTimeout.TotalMilliseconds, problem =>
        {
            if (problem is null)
            {
                answered.SetResult();
            }
            else
            {
                answered.SetException(problem);
            }
        });
        await answered.Task.WaitAsync(cancellation);
    }

    /// <summary>Plans, or carries a plan out.</summary>
    public async Task<RecoverResponse> RecoverAsync(RecoverRequest request, CancellationToken cancellation)
    {
        Topology topology = node.GetTopology();
        NodeId self = node.GetStatus().Id;
        string[] addresses =
        [
            .. topology.Nodes.Where(n => n.Id != self).Select(static n => n.Address).Union(request.Addresses, StringComparer.Ordinal),
        ];
        (string Address, string? Report)[] asked =
            await Task.WhenAll(addresses.Select(a => AskAsync(a, topology.ClusterId, cancellation)));

        // A node may be asked at two addresses, and be this one: what it says tells who it is.
        Dictionary<string, string> addressOf = new(StringComparer.Ordinal) { [NodeOf(await ReportAsync(cancellation))] = "" };
        List<string> reports = [await ReportAsync(cancellation)];
        foreach ((string address, string? report) in asked)
        {
            if (report is not null && addressOf.TryAdd(NodeOf(report), address))
            {
                reports.Add(report);
            }
        }

        if (request.ApplyPlanId.Length == 0)
        {
            return ToMessage(node.Recovery.Offer(reports, [.. request.StartEmpty.Select(static s => (int)s)]));
        }

        RecoveryOffer offer = node.Recovery.Resume(reports, request.ApplyPlanId)
            ?? NewPlan(node.Recovery.Offer(reports, [.. request.StartEmpty.Select(static s => (int)s)]), request.ApplyPlanId);
        await ApplyAsync(offer, addressOf, topology.ClusterId, cancellation);
        RecoverResponse response = ToMessage(offer);
        response.Done = true;
        return response;
    }

    // What was shown is what is done.
    private static RecoveryOffer NewPlan(RecoveryOffer offer, string wanted) =>
        offer.IsRefused ? throw new HengeException(ErrorCode.InvalidArgument, offer.Problems[0])
        : offer.PlanId == wanted ? offer
        : throw new HengeException(
            ErrorCode.InvalidArgument,
            $"Nothing was done: what the nodes have is not what plan {wanted} was made of, or other nodes answer; it would be plan "
                + $"{offer.PlanId} now. Look at the new plan first.");

    private async Task ApplyAsync(
        RecoveryOffer offer,
        Dictionary<string, string> addressOf,
        string clusterId,
        CancellationToken cancellation)
    {
        // All have given up those who are lost before anybody goes on without them.
        foreach (RecoveryPhase phase in new[] { RecoveryPhase.Fence, RecoveryPhase.Catalog })
        {
            await OnAllAsync(offer, phase, addressOf, clusterId, cancellation);
        }

        await MarkLostAsync(offer.Plan, cancellation);
        await OnAllAsync(offer, RecoveryPhase.Shards, addressOf, clusterId, cancellation);
    }

    private async Task OnAllAsync(
        RecoveryOffer offer,
        RecoveryPhase phase,
        Dictionary<string, string> addressOf,
        string clusterId,
        CancellationToken cancellation)
    {
        AdoptRecoveryRequest request = new() { Plan = offer.Plan, Phase = (AdoptRecoveryRequest.Types.Phase)phase };
        await Task.WhenAll(offer.Survivors.Select(async survivor =>
        {
            string address = addressOf[Key(survivor.Id.Value)];
            try
            {
                await (address.Length == 0
                    ? AdoptAsync(offer.Plan, phase, cancellation)
                    : peers.AdoptRecoveryAsync(address, clusterId, request, PhaseTimeout + ReportTimeout, cancellation));
            }
            catch (RpcException e)
            {
                cancellation.ThrowIfCancellationRequested();
                string? trailer = e.Trailers.GetValue(GrpcHeaders.HengeError);
                throw new HengeException(
                    trailer is null ? ErrorCode.Unavailable : GrpcErrors.ToErrorCode((GrpcStatusCode)(int)e.StatusCode, trailer),
                    $"{survivor.Name} has not done its part of plan {offer.PlanId}: {e.Status.Detail} Start it if it is down, and say the "
                        + "same again: the plan is gone on with.",
                    e);
            }
        }));
    }

    // The catalog goes on by now.
    private async Task MarkLostAsync(string plan, CancellationToken cancellation)
    {
        TaskCompletionSource answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
        node.Recovery.MarkLost(plan, node.MonotonicMs + (long)PhaseTimeout.TotalMilliseconds, problem =>
        {
            if (problem is null)
            {
                answered.SetResult();
            }
            else
            {
                answered.SetException(problem);
            }
        });
        await answered.Task.WaitAsync(cancellation);
    }

    private async Task<(string Address, string? Report)> AskAsync(string address, string clusterId, CancellationToken cancellation)
    {
        try
        {
            return (address, await peers.ReportRemainsAsync(address, clusterId, ReportTimeout, cancellation));
        }
        catch (RpcException)
        {
            cancellation.ThrowIfCancellationRequested();
            return (address, null);
        }
    }

    private static string NodeOf(string report) =>
        report.Split('\n').FirstOrDefault(static l => l.StartsWith("node ", StringComparison.Ordinal))?.Split(' ')[1] ?? "";

    private static string Key(ulong number) => number.ToString(System.Globalization.CultureInfo.InvariantCulture);

    private static RecoverResponse ToMessage(RecoveryOffer offer)
    {
        RecoverResponse response = new()
        {
            PlanId = offer.IsRefused ? "" : offer.PlanId,
            Refusal = offer.IsRefused ? offer.Problems[0] : "",
            LosesNothing = offer.LosesNothing,
        };
        response.Survivors.AddRange(offer.Survivors.Select(static m => m.Name));
        response.Lost.AddRange(offer.Lost.Select(static m => m.Name));
        response.Problems.AddRange(offer.IsRefused ? offer.Problems.Skip(1) : offer.Problems);
        foreach (RecoveryRow row in offer.Shards)
        {
            ShardRecovery shard = new()
            {
                Shard = row.Shard.Value,
                Kind = row.Kind,
                Action = row.Action,
                FromId = row.From,
                KeptVersion = row.KeptVersion.Value,
                CertainVersion = row.CertainVersion.Value,
                KeptEntry = row.Kept.Value,
                CertainlyLost = row.CertainlyLost,
            };
            shard.Lost.AddRange(row.Lost);
            response.Shards.Add(shard);
        }

        return response;
    }
}

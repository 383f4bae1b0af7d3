using Google.Protobuf;
using Henge.Client.Errors;
using Henge.Client.Routing;
using Henge.Client.Transport;
using Henge.Protocol.Messages;

namespace Henge.Client.Retry;

/// <summary>An attempt that failed before a request came to <see cref="RequestRunner"/>.</summary>
/// <param name="Failure">How.</param>
/// <param name="Address">Where.</param>
internal readonly record struct PriorFailure(AttemptFailedException Failure, string Address);

/// <summary>
/// Carries one unary request through routing, attempts and retries to an answer or an error that says what is known. Thread-safe.
/// </summary>
internal sealed class RequestRunner(NodeTransport transport, Router router, RetryBudget budget, HengeClientOptions options)
{
    private bool _hasNoTopology;

    /// <summary>
    /// Runs a request. <paramref name="repeatable"/> says that a write carries a session's sequence number, so that a second attempt takes
    /// effect at most once; reads always are. <paramref name="prior"/> is an attempt that was made elsewhere and failed. Throws
    /// <see cref="Core.HengeException"/> and <see cref="OperationCanceledException"/>.
    /// </summary>
    public async Task<TResponse> RunAsync<TRequest, TResponse>(
        NodeCall<TRequest, TResponse> call,
        TRequest request,
        ReadOnlyMemory<byte> routingKey,
        bool repeatable,
        TimeSpan? deadline,
        CancellationToken cancellationToken,
        string? address = null,
        long? startedAt = null,
        PriorFailure? prior = null)
        where TRequest : class, IMessage
        where TResponse : class
    {
        TimeProvider time = options.TimeProvider;
        long start = startedAt ?? time.GetTimestamp();
        TimeSpan totalTimeout = deadline ?? options.DefaultDeadline;
        RetryState retries = new(options, budget, call.ChangesState, repeatable);
        bool fixedAddress = address is not null;
        AttemptFailedException? failure = prior?.Failure;
        string? target = prior?.Address;
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (failure is null)
            {
                TimeSpan remaining = totalTimeout - time.GetElapsedTime(start);
                if (remaining <= TimeSpan.Zero)
                {
                    throw retries.Exhausted();
                }

                // The node that failed last is asked again only when there is no other.
                target = address ?? router.Choose(routingKey.Span, target);
                if (retries.InDoubt)
                {
                    MarkRetry(request);
                }

                try
                {
                    TimeSpan timeout = remaining < options.AttemptTimeout ? remaining : options.AttemptTimeout;
                    TResponse response = await transport
                        .UnaryAsync(call, target, request, timeout, cancellationToken)
                        .ConfigureAwait(false);
                    router.OnReached(target);
                    failure = RedirectOf(request, response, target);
                    if (failure is null)
                    {
                        budget.OnSuccess();
                        LearnLeader(response, routingKey);
                        return response;
                    }
                }
                catch (AttemptFailedException e)
                {
                    failure = e;
                }
            }

            if (failure.ConnectionFailed)
            {
                router.OnUnreachable(target!);
            }

            string? leader = failure.Code == Core.ErrorCode.NotLeader
                ? router.OnNotLeader(routingKey.Span, failure.LeaderHint, failure.LeaderTerm, target)
                : null;

            TimeSpan elapsed = time.GetElapsedTime(start);
            int nodes = fixedAddress ? 1 : router.Map.Addresses.Length;
            RetryDecision decision = retries.OnFailure(failure, elapsed, totalTimeout - elapsed, nodes, leader);
            if (decision.Error is { } error)
            {
                throw error;
            }

            failure = null;
            if (!fixedAddress)
            {
                address =
                    decision.Address is null || await LearnClusterAsync(target!, cancellationToken).ConfigureAwait(false)
                        ? decision.Address
                        : null;
            }

            if (decision.Delay > TimeSpan.Zero)
            {
                await Task.Delay(decision.Delay, time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    // So that a shard that has forgotten the session does not take it for a new request (docs/decisions/0134).
    private static void MarkRetry(IMessage request)
    {
        switch (request)
        {
            case Protocol.V1.PutRequest { ClientId: not 0 } put:
                put.SessionFlags |= WriteNumber.RetryFlag;
                break;
            case Protocol.V1.DeleteRequest { ClientId: not 0 } delete:
                delete.SessionFlags |= WriteNumber.RetryFlag;
                break;
            case Protocol.V1.TxnRequest { ClientId: not 0 } txn:
                txn.SessionFlags |= WriteNumber.RetryFlag;
                break;
        }
    }

    /// <summary>
    /// Before a node sends the client elsewhere, the client learns which cluster that node is of, so that the other one can be told. False
    /// when the node cannot be asked, or is of another cluster; true as well for nodes that have nothing to tell, as those of
    /// kvstore.KVStore.
    /// </summary>
    private async Task<bool> LearnClusterAsync(string address, CancellationToken cancellationToken)
    {
        if (router.KnowsCluster || Volatile.Read(ref _hasNoTopology))
        {
            return true;
        }

        try
        {
            Protocol.V1.TopologyResponse topology = await transport
                .UnaryAsync(NodeCalls.Topology, address, new Protocol.V1.TopologyRequest(), options.AttemptTimeout, cancellationToken)
                .ConfigureAwait(false);
            Volatile.Write(ref _hasNoTopology, topology.ClusterId.Length == 0);
            return router.OnTopology(topology);
        }
        catch (AttemptFailedException e)
        {
            Volatile.Write(ref _hasNoTopology, !e.ConnectionFailed);
            return !e.ConnectionFailed;
        }
    }

    // Another node has done it in place of the one that was asked.
    private void LearnLeader(object response, ReadOnlyMemory<byte> key)
    {
        (string leader, ulong term) = response switch
        {
            Protocol.V1.GetResponse get => (get.LeaderHint, get.LeaderTerm),
            Protocol.V1.PutResponse put => (put.LeaderHint, put.LeaderTerm),
            Protocol.V1.DeleteResponse delete => (delete.LeaderHint, delete.LeaderTerm),
            Protocol.V1.TxnResponse txn => (txn.LeaderHint, txn.LeaderTerm),
            _ => ("", 0UL),
        };
        router.OnForwarded(key.Span, new TextField(leader), term);
    }

    /// <summary>
    /// An unconditional put cannot fail its condition: an answer without success that names a leader is a refusal, in the manner of
    /// kvstore.KVStore.
    /// </summary>
    private static AttemptFailedException? RedirectOf(IMessage request, object response, string address) =>
        request is Protocol.V1.PutRequest { HasIfVersion: false } && response is Protocol.V1.PutResponse { Success: false } put
            ? new AttemptFailedException(
                Core.ErrorCode.NotLeader,
                $"{address} does not lead the key's shard.",
                AttemptOutcome.NothingDone,
                put.LeaderHint,
                leaderTerm: put.LeaderTerm)
            : null;
}

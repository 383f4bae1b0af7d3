using System.Runtime.CompilerServices;
using Henge.Client.Errors;
using Henge.Client.Mapping;
using Henge.Client.Routing;
using Henge.Client.Transport;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Watching;

/// <summary>One watch over as many connections as it takes.</summary>
internal static class WatchLoop
{
    // A replica that is damaged is rebuilt within seconds, and the others have what it cannot read.
    private static readonly TimeSpan DamageTimeout = TimeSpan.FromSeconds(30);

    public static async IAsyncEnumerable<WatchEvent> RunAsync(
        NodeTransport transport,
        Router router,
        HengeClientOptions client,
        WatchOptions options,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        WatchProgress progress = new(options);
        TimeProvider time = client.TimeProvider;
        long brokenSince = time.GetTimestamp();
        int failures = 0;
        bool received = false;
        string? avoid = null;
        DamageRun damage = default;
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            string address = router.Choose(default, avoid);
            AttemptFailedException? failure = null;
            StreamCall<Wire.WatchEvent>? stream = null;
            try
            {
                Wire.WatchRequest request = WireMapping.Watch(options);
                progress.ApplyTo(request);
                stream = await transport.WatchAsync(address, request, cancellationToken).ConfigureAwait(false);
                router.OnReached(address);
            }
            catch (AttemptFailedException e)
            {
                failure = e;
            }

            if (stream is not null)
            {
                using (stream)
                {
                    while (true)
                    {
                        Wire.WatchEvent? message = null;
                        try
                        {
                            message = await stream.ReadAsync(cancellationToken).ConfigureAwait(false);
                        }
                        catch (AttemptFailedException e)
                        {
                            failure = e;
                        }

                        if (message is null)
                        {
                            break;
                        }

                        failures = 0;
                        received = true;
                        if (!progress.Advance(message))
                        {
                            continue;
                        }

                        WatchEvent watchEvent = WireMapping.FromWire(message);
                        if (watchEvent.Kind != WatchEventKind.Progress || options.Progress)
                        {
                            yield return watchEvent;
                        }
                    }
                }
            }

            if (failures == 0)
            {
                brokenSince = time.GetTimestamp();
            }

            failures++;
            avoid = address;
            bool passes =
                (failure?.Code == ErrorCode.Corruption && router.Map.Addresses.Length > 1 && damage.IsShort(time))

                // It was let in before: a token that is over is followed by another one. Once, as the next attempt says who calls anew.
                || (failure?.Code == ErrorCode.Unauthenticated && failures == 1 && received);
            ThrowIfPermanent(failure, passes, time.GetElapsedTime(brokenSince), options, router, address);
            double waitMs = Math.Min(
                client.InitialBackoff.TotalMilliseconds * (1L << Math.Min(failures - 1, 20)),
                client.MaxBackoff.TotalMilliseconds);
            await Task.Delay(TimeSpan.FromMilliseconds(waitMs * (0.5 + (Random.Shared.NextDouble() / 2))), time, cancellationToken)
                .ConfigureAwait(false);
        }
    }

    private static void ThrowIfPermanent(
        AttemptFailedException? failure,
        bool passes,
        TimeSpan broken,
        WatchOptions options,
        Router router,
        string address)
    {
        if (failure is null)
        {
            // The node ended the stream well, which it does only when it stops: another one goes on.
            return;
        }

        if (failure.ConnectionFailed)
        {
            router.OnUnreachable(address);
        }

        bool passing =
            passes
            || failure.ConnectionFailed
            || failure.Code
                is ErrorCode.Unavailable
                    or ErrorCode.Stopping
                    or ErrorCode.NotLeader
                    or ErrorCode.ResourceExhausted
                    or ErrorCode.DeadlineExceeded
                    or ErrorCode.UnknownOutcome
                    or ErrorCode.Cancelled;
        if (!passing)
        {
            throw ErrorFactory.Create(failure.Code, failure.Message, failure.LeaderHint, failure);
        }

        if (options.ReconnectTimeout != Timeout.InfiniteTimeSpan && broken >= options.ReconnectTimeout)
        {
            throw new UnavailableException($"The watch was cut off for {broken.TotalSeconds:0.0} s: {failure.Message}", failure);
        }
    }

    /// <summary>Since when the watch has been meeting damage again and again; events of other shards in between do not count.</summary>
    private struct DamageRun
    {
        private long _since;
        private long _last;

        /// <summary>It has met some just now; false when that has gone on for too long.</summary>
        public bool IsShort(TimeProvider time)
        {
            long now = time.GetTimestamp();
            _since = _last == 0 || time.GetElapsedTime(_last, now) >= DamageTimeout ? now : _since;
            _last = now;
            return time.GetElapsedTime(_since, now) < DamageTimeout;
        }
    }
}

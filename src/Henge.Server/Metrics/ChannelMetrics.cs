using System.Diagnostics.Metrics;

namespace Henge.Server.Metrics;

/// <summary>Counts what is published and who is subscribed. Thread-safe.</summary>
internal sealed class ChannelMetrics
{
    private long _published;
    private long _received;
    private long _delivered;
    private long _subscriptions;
    private long _cut;

    /// <summary>Creates the counters, and their instruments if there is a meter.</summary>
    public ChannelMetrics(Meter? meter)
    {
        meter?.CreateObservableCounter("henge.pubsub.messages.published", () => Interlocked.Read(ref _published), "{message}",
            "Messages that clients published on this node.");
        meter?.CreateObservableCounter("henge.pubsub.messages.received", () => Interlocked.Read(ref _received), "{message}",
            "Messages that other nodes published and that came to this one.");
        meter?.CreateObservableCounter(
            "henge.pubsub.messages.delivered", () => Interlocked.Read(ref _delivered), "{message}", "Messages handed to subscriptions of "
                + "this node, each counted for every subscription.");
        meter?.CreateObservableGauge("henge.pubsub.subscriptions", () => Interlocked.Read(ref _subscriptions), "{subscription}",
            "Subscriptions to channels and patterns on this node.");
        meter?.CreateObservableCounter("henge.pubsub.subscribers.cut", () => Interlocked.Read(ref _cut), "{connection}",
            "Subscribers that were cut off because they did not take what was sent to them.");
    }

    public void Published() => Interlocked.Increment(ref _published);

    public void Received() => Interlocked.Increment(ref _received);

    public void Delivered(long receivers) => Interlocked.Add(ref _delivered, receivers);

    public void Subscriptions(int more) => Interlocked.Add(ref _subscriptions, more);

    public void Cut() => Interlocked.Increment(ref _cut);
}

using Henge.Core;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Channels;

/// <summary>
/// Messages on their way to one connection. Publishers only put them here; one pump at a time writes them between replies. What waits here
/// and in the connection's output is bounded: over it the connection is cut, since a message left out would be a gap that the subscriber
/// cannot see (Redis: client-output-buffer-limit pubsub). Thread-safe.
/// </summary>
/// <param name="output">The subscriber.</param>
/// <param name="waiting">What the connection may keep waiting.</param>
/// <param name="limitBytes">Most bytes that may wait when another message comes.</param>
/// <param name="refuse">Says why the connection may not have its subscriptions any more, asked by whoever may write to it.</param>
internal sealed class SubscriberInbox(SubscriberOutput output, RespWaitingBytes waiting, long limitBytes, Func<HengeException?> refuse)
{
    private const int RoundBytes = 256 * 1024;
    private readonly Lock _lock = new();
    private readonly Queue<(ChannelSubscription Subscription, ChannelMessage Message)> _queue = new();
    private long _queuedBytes;
    private bool _pumping;
    private bool _ended;
    private bool _mustCheck;
    private string? _overflow;

    /// <summary>Takes a message. Never blocks.</summary>
    public void Add(ChannelSubscription subscription, ChannelMessage message)
    {
        lock (_lock)
        {
            if (_ended)
            {
                return;
            }

            if (_queuedBytes + output.WaitingBytes + message.Bytes > limitBytes)
            {
                _overflow =
                    $"more than {limitBytes} bytes of published messages wait for this subscriber (limit-resp-subscriber-bytes). It must "
                        + $"read faster, or subscribe to less";
            }
            else if (!waiting.TryTake(message.Bytes))
            {
                _overflow = waiting.Problem;
            }

            _ended = _overflow is not null;
            if (!_ended)
            {
                _queue.Enqueue((subscription, message));
                _queuedBytes += message.Bytes;
            }

            if (_pumping)
            {
                return;
            }

            _pumping = true;
        }

        StartPump();
    }

    /// <summary>
    /// Has it seen to that the connection may still have what it is subscribed to, though no message comes. Never blocks.
    /// </summary>
    public void Recheck()
    {
        lock (_lock)
        {
            _mustCheck = true;
            if (_ended || _pumping)
            {
                return;
            }

            _pumping = true;
        }

        StartPump();
    }

    private void StartPump() =>
        ThreadPool.UnsafeQueueUserWorkItem(static inbox => _ = inbox.PumpAsync(), this, preferLocal: false);

    /// <summary>The connection is gone: nothing is taken any more, and what waits is forgotten.</summary>
    public void End()
    {
        lock (_lock)
        {
            _ended = true;
            Forget();
        }
    }

    private async Task PumpAsync()
    {
        try
        {
            while (true)
            {
                if (Overflow() is { } problem)
                {
                    output.End(new RespOverflowException(problem));
                    return;
                }

                await output.EnterAsync();
                try
                {
                    Volatile.Write(ref _mustCheck, false);
                    if (refuse() is { } refused)
                    {
                        End();
                        output.End(refused);
                        return;
                    }

                    for (
                        long round = 0;
                        round < RoundBytes && TryTake(out ChannelSubscription? subscription, out ChannelMessage? message);
                        round += message.Bytes)
                    {
                        // It may have been unsubscribed from while this waited.
                        if (!subscription.Ended)
                        {
                            Write(subscription, message);
                        }
                    }

                    output.Flush();
                }
                finally
                {
                    output.Exit();
                }

                lock (_lock)
                {
                    if (_queue.Count == 0 && _overflow is null && !_mustCheck)
                    {
                        _pumping = false;
                        return;
                    }
                }
            }
        }
        catch (Exception e)
        {
            End();
            output.End(e);
        }
    }

    /// <summary>Why the connection is to be cut, if it is; what waits is forgotten then.</summary>
    private string? Overflow()
    {
        lock (_lock)
        {
            if (_overflow is not null)
            {
                Forget();
            }

            return _overflow;
        }
    }

    private void Forget()
    {
        _queue.Clear();
        waiting.GiveBack(_queuedBytes);
        _queuedBytes = 0;
    }

    private bool TryTake(
        [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out ChannelSubscription? subscription,
        [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out ChannelMessage? message)
    {
        (subscription, message) = (null, null);
        lock (_lock)
        {
            if (_overflow is not null || !_queue.TryDequeue(out (ChannelSubscription Subscription, ChannelMessage Message) next))
            {
                return false;
            }

            (subscription, message) = next;
            _queuedBytes -= message.Bytes;
            waiting.GiveBack(message.Bytes);
            return true;
        }
    }

    private void Write(ChannelSubscription subscription, ChannelMessage message)
    {
        RespWriter writer = output.Writer;
        (int, int) mark = output.Mark();
        try
        {
            bool pattern = subscription.Kind == ChannelKind.Pattern;
            writer.Push(pattern ? 4 : 3);
            writer.Bulk(pattern ? "pmessage"u8 : subscription.Kind == ChannelKind.Shard ? "smessage"u8 : "message"u8);
            if (pattern)
            {
                writer.Bulk(subscription.NameBytes);
            }

            writer.Bulk(message.Channel);
            writer.Bulk(message.Payload);
        }
        catch (RespOverflowException)
        {
            output.Rollback(mark);
            throw;
        }
    }
}

namespace Henge.Server.Resp.Wire;

/// <summary>Thrown when more would wait than may. The message says which bound it was and what to do.</summary>
internal sealed class RespOverflowException(string message) : Exception(message);

/// <summary>
/// How much of all RESP connections together may wait: requests that were read and not done, and replies that were not taken. Thread-safe.
/// </summary>
internal sealed class RespWaitingBudget(RespLimits limits)
{
    private long _taken;

    /// <summary>The bounds.</summary>
    public RespLimits Limits => limits;

    /// <summary>Bytes that wait now.</summary>
    public long TakenBytes => Volatile.Read(ref _taken);

    public bool TryTake(long bytes, bool always)
    {
        if (Interlocked.Add(ref _taken, bytes) <= limits.WaitingMemoryBytes || always)
        {
            return true;
        }

        Interlocked.Add(ref _taken, -bytes);
        return false;
    }

    public void GiveBack(long bytes) => Interlocked.Add(ref _taken, -bytes);
}

/// <summary>The part of the budget that one connection has taken. Thread-safe.</summary>
/// <param name="budget">What all connections may keep waiting.</param>
/// <param name="isStranger">Whether the client has to log in, and has not; null: it does not have to.</param>
internal sealed class RespWaitingBytes(RespWaitingBudget budget, Func<bool>? isStranger = null)
{
    private long _taken;

    /// <summary>Why more cannot be taken.</summary>
    public string Problem { get; private set; } = "";

    /// <summary>Takes room; false when a bound would be passed, and then <see cref="Problem"/> says which.</summary>
    public bool TryTake(long bytes, bool always = false)
    {
        long taken = Interlocked.Add(ref _taken, bytes);
        RespLimits limits = budget.Limits;
        if (taken > RespLimits.StrangerWaitingBytes && !always && isStranger?.Invoke() == true)
        {
            // Before anything is known of a client, its word counts for little (CVE-2025-21605).
            Problem =
                $"more than {RespLimits.StrangerWaitingBytes} bytes of requests and replies of this connection wait, and the client has not logged "
                    + "in. Log in with AUTH before anything else";
        }
        else if (taken > limits.WaitingBytes && !always)
        {
            Problem =
                $"more than {limits.WaitingBytes} bytes of requests and replies of this connection wait (limit-resp-waiting-bytes). Read "
                    + $"replies while you send requests";
        }
        else if (budget.TryTake(bytes, always))
        {
            return true;
        }
        else
        {
            Problem =
                $"more than {limits.WaitingMemoryBytes} bytes of requests and replies of all connections wait (limit-resp-waiting-memory). "
                    + $"Read replies while you send requests, or try again later";
        }

        Interlocked.Add(ref _taken, -bytes);
        return false;
    }

    /// <summary>Gives room back.</summary>
    public void GiveBack(long bytes)
    {
        if (bytes != 0)
        {
            Interlocked.Add(ref _taken, -bytes);
            budget.GiveBack(bytes);
        }
    }

    /// <summary>Gives back all that is left, when the connection is gone.</summary>
    public void GiveBackAll() => GiveBack(Volatile.Read(ref _taken));
}

using Google.Protobuf;
using Henge.Client.Ordering;
using Henge.Client.Transport;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Retry;

/// <summary>
/// Makes an end of writes whose outcome their callers never learned: a request of such a write may lie in a broken connection somewhere,
/// and must not take effect behind a later write (docs/decisions/0170). So the client takes the write's number with another one, a
/// transaction that never does anything. Once that is answered the number is used, whichever of the two came first, and the late one finds
/// it used. Until then, operations on the keys wait. Thread-safe.
/// </summary>
internal sealed class WriteVoider(RequestRunner runner, KeyTurns turns, HengeClientOptions options) : IDisposable
{
    /// <summary>So many at a time; the keys of more are let go at once, and their order is not promised.</summary>
    public const int LimitHeld = 4096;

    /// <summary>The largest version there is; no write ever has it.</summary>
    private const ulong NoVersion = Core.Version.MaxValue;

    private const int LimitExpired = 3;
    private readonly CancellationTokenSource _stop = new();
    private int _held;

    /// <summary>How many writes have not come to an end yet.</summary>
    public int Held => Volatile.Read(ref _held);

    /// <summary>Whether a write that ended in this way may have been done, or be done yet.</summary>
    public static bool IsInDoubt(Exception exception) =>
        exception is UnknownOutcomeException or SessionExpiredException or OperationCanceledException;

    /// <summary>
    /// Takes an ended write's turn and number over. False when it has no turn, which is so before it was sent, or when too many are held
    /// already; then the turn is left as usual.
    /// </summary>
    /// <param name="taker">Who has the turn.</param>
    /// <param name="key">A key of the write; copied.</param>
    /// <param name="number">Its number.</param>
    public bool TryVoid(TurnTaker taker, ReadOnlySpan<byte> key, WriteNumber number)
    {
        if (number.Lane is not { } lane || (taker.Node is null && taker.Gate is null) || _stop.IsCancellationRequested)
        {
            return false;
        }

        if (Interlocked.Increment(ref _held) > LimitHeld)
        {
            Interlocked.Decrement(ref _held);
            return false;
        }

        // The lane gives a few more numbers and then no more, so that the cluster never forgets this one for later ones.
        lane.Keep(number.Sequence);
        var held = new HeldTurn();
        KeyTurns.HandOver(taker, held);
        _ = VoidAsync(held, key.ToArray(), number);
        return true;
    }

    /// <inheritdoc/>
    public void Dispose() => _stop.Cancel();

    private async Task VoidAsync(HeldTurn held, byte[] key, WriteNumber number)
    {
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            int expired = 0;
            for (TimeSpan delay = options.InitialBackoff; !await TryOnceAsync(key, number).ConfigureAwait(false) && expired < LimitExpired;)
            {
                await Task.Delay(delay, options.TimeProvider, _stop.Token).ConfigureAwait(false);
                delay = delay * 2 < options.MaxBackoff ? delay * 2 : options.MaxBackoff;
            }

            async Task<bool> TryOnceAsync(byte[] key, WriteNumber number)
            {
                try
                {
                    await runner
                        .RunAsync(NodeCalls.Txn, Nothing(key, number), key, repeatable: true, null, _stop.Token)
                        .ConfigureAwait(false);
                    number.OnAnswered();
                    return true;
                }
                catch (SessionExpiredException)
                {
                    expired++;
                    return false;
                }
                catch (HengeException e)
                {
                    // What is refused for good now is refused for good later: no order can be promised any more. Some of it is the write's
                    // own recorded outcome.
                    return e.Code
                        is not (
                            ErrorCode.Unavailable
                            or ErrorCode.NotLeader
                            or ErrorCode.DeadlineExceeded
                            or ErrorCode.UnknownOutcome
                            or ErrorCode.ResourceExhausted
                            or ErrorCode.Stopping
                            or ErrorCode.Internal
                            or ErrorCode.Cancelled
                            or ErrorCode.DiskFull);
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
        {
            // The client is closed.
        }
        finally
        {
            turns.Leave(held);
            Interlocked.Decrement(ref _held);
        }
    }

    // As a first attempt, not a retry: where the session has ended it begins anew with this, and the number is used all the same.
    private static Wire.TxnRequest Nothing(byte[] key, WriteNumber number) =>
        new()
        {
            Compare =
            {
                new Wire.Compare
                {
                    Key = UnsafeByteOperations.UnsafeWrap(key),
                    Relation = Wire.Compare.Types.Relation.Equal,
                    Version = NoVersion,
                },
            },
            ClientId = number.ClientId,
            Sequence = number.Sequence,
            SessionFlags = number.Flags,
        };
}

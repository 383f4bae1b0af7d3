using Henge.Client.Errors;
using Henge.Core;

namespace Henge.Client.Retry;

/// <summary>What to do after a failed attempt.</summary>
/// <param name="Error">What the caller gets; null: try again.</param>
/// <param name="Delay">How long to wait before.</param>
/// <param name="Address">Which node to ask; null: the one that the router chooses.</param>
internal readonly record struct RetryDecision(HengeException? Error, TimeSpan Delay, string? Address);

/// <summary>
/// The rules of retrying, for one operation. Pure but for the budget: it neither waits nor sends. The rule that matters most: once an
/// attempt of a write may have taken effect, no later refusal takes that back; only an answer to the same sequence number does, since the
/// cluster then says what became of it.
/// </summary>
internal struct RetryState(HengeClientOptions options, RetryBudget budget, bool changesState, bool repeatable)
{
    // After this many redirects in a row the nodes disagree about who leads, and waiting helps more than running in circles.
    private const int LimitRedirects = 3;

    private static readonly TimeSpan MostLeastAttempt = TimeSpan.FromMilliseconds(300);

    private bool _inDoubt;
    private bool _reached;
    private int _failures;
    private int _redirects;
    private AttemptFailedException? _last;

    /// <summary>Attempts that failed.</summary>
    public readonly int Failures => _failures;

    /// <summary>True when an attempt of a write may have taken effect.</summary>
    public readonly bool InDoubt => _inDoubt;

    /// <summary>
    /// Decides what comes after a failed attempt. <paramref name="nodes"/> is how many nodes there are to ask: that none can be reached is
    /// not said before each was tried. <paramref name="leader"/> is who leads, when the failure is that the node does not.
    /// </summary>
    public RetryDecision OnFailure(AttemptFailedException failure, TimeSpan elapsed, TimeSpan remaining, int nodes, string? leader)
    {
        _last = failure;
        _failures++;
        _reached |= !(failure.ConnectionFailed && failure.Outcome == AttemptOutcome.NothingDone);
        if (changesState && failure.Outcome == AttemptOutcome.Unknown)
        {
            _inDoubt = true;
        }

        if (!IsWorthRetrying(failure) || (_inDoubt && !repeatable))
        {
            return new RetryDecision(Final(failure), default, null);
        }

        if (!budget.TryTake() || (!_reached && _failures >= nodes && elapsed >= options.UnreachableTimeout))
        {
            return new RetryDecision(Final(failure), default, null);
        }

        if (failure.Code == ErrorCode.NotLeader && leader is not null && _redirects < LimitRedirects)
        {
            _redirects++;
            return new RetryDecision(null, TimeSpan.Zero, leader);
        }

        _redirects = 0;
        TimeSpan delay = Backoff();
        return remaining - delay < LeastAttempt(elapsed + remaining)
            ? new RetryDecision(Exhausted(), default, null)
            : new RetryDecision(null, delay, null);
    }

    /// <summary>What the caller gets when the deadline has passed.</summary>
    public readonly HengeException Exhausted()
    {
        if (_last is null)
        {
            return new DeadlineExceededException("The deadline passed before the request was sent.");
        }

        if (_inDoubt)
        {
            return Unknown(_last);
        }

        string message =
            $"{_last.Message.TrimEnd('.')} ({_failures} {(_failures == 1 ? "attempt" : "attempts")}; the deadline has passed).";
        return _last.Code is ErrorCode.DeadlineExceeded
            ? new DeadlineExceededException(message, _last)
            : ErrorFactory.Create(_last.Code, message, _last.LeaderHint, _last);
    }

    private readonly HengeException Final(AttemptFailedException failure) =>
        _inDoubt && !(failure.Outcome == AttemptOutcome.NothingDone && IsVerdict(failure.Code))
            ? Unknown(failure)
            : ErrorFactory.Create(failure.Code, failure.Message, failure.LeaderHint, failure);

    private static UnknownOutcomeException Unknown(AttemptFailedException failure) =>
        new($"The write may or may not have taken effect. {failure.Message}", failure);

    /// <summary>
    /// Codes that the state machine itself gives while it applies: they are the recorded outcome of the sequence number, whichever attempt
    /// carried it.
    /// </summary>
    private static bool IsVerdict(ErrorCode code) =>
        code is ErrorCode.WrongType or ErrorCode.CrossShard or ErrorCode.InvalidArgument or ErrorCode.TooLarge;

    private readonly bool IsWorthRetrying(AttemptFailedException failure) =>
        failure.Code switch
        {
            ErrorCode.NotLeader or ErrorCode.Unavailable or ErrorCode.Stopping or ErrorCode.UnknownOutcome or ErrorCode.DeadlineExceeded =>
                true,

            // A node that is full may have room soon, and another may have some now.
            ErrorCode.ResourceExhausted => true,

            // A connection that broke in the middle of an answer; anything else internal would only repeat itself.
            ErrorCode.Internal or ErrorCode.Cancelled => failure.ConnectionFailed,
            _ => false,
        };

    /// <summary>
    /// An attempt that cannot be answered in the time that is left would only turn a clear "nothing was done" into "unknown".
    /// </summary>
    private static TimeSpan LeastAttempt(TimeSpan timeout) => timeout / 3 < MostLeastAttempt ? timeout / 3 : MostLeastAttempt;

    private readonly TimeSpan Backoff()
    {
        int doublings = Math.Min(_failures - 1, 20);
        double most = Math.Min(options.InitialBackoff.TotalMilliseconds * (1L << doublings), options.MaxBackoff.TotalMilliseconds);

        // Half fixed, half random: callers that failed together do not come back together.
        return TimeSpan.FromMilliseconds((most / 2) + (Random.Shared.NextDouble() * most / 2));
    }
}

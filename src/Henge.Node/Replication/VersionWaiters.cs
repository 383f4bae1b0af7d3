using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Workers;

namespace Henge.Node.Replication;

/// <summary>
/// Reads that want a version at which a shard's history is closed: no write may get that version, or one below it, any more. That is so once an
/// entry with that version or a higher one is applied. Belongs to the shard's worker.
/// </summary>
internal sealed class VersionWaiters(ShardReplica replica)
{
    private const int RepeatMs = 100;
    private OperationList _waiting;
    private Core.Version _wanted;
    private long _askedAtMs;

    /// <summary>True when nothing waits.</summary>
    public bool IsEmpty => _waiting.IsEmpty;

    /// <summary>Takes a read in; <see cref="Operation.Version"/> is what it wants.</summary>
    public void Add(Operation operation)
    {
        _waiting.Add(operation);
        if (operation.Version > _wanted)
        {
            _wanted = operation.Version;
            Ask();
        }
    }

    /// <summary>Completes what is closed by now.</summary>
    public void Serve(Core.Version applied)
    {
        if (_waiting.IsEmpty)
        {
            return;
        }

        OperationList kept = default;
        while (_waiting.TakeFirst() is { } operation)
        {
            if (operation.Version <= applied)
            {
                replica.Worker.Complete(operation);
            }
            else
            {
                kept.Add(operation);
            }
        }

        _waiting = kept;
    }

    /// <summary>Fails what is past its deadline, and asks again when the first asking may have been lost.</summary>
    public void Tick(long nowMs)
    {
        if (_waiting.IsEmpty)
        {
            _wanted = default;
            return;
        }

        OperationList kept = default;
        while (_waiting.TakeFirst() is { } operation)
        {
            if (operation.DeadlineMs <= nowMs)
            {
                replica.Worker.Fail(operation, ErrorCode.Unavailable, "The shard had no leader that could close its history at the version before the deadline. Try again, or read at an older version.");
            }
            else
            {
                kept.Add(operation);
            }
        }

        _waiting = kept;
        if (!_waiting.IsEmpty && nowMs - _askedAtMs >= RepeatMs)
        {
            Ask();
        }
    }

    /// <summary>Fails everything.</summary>
    public void FailAll(ErrorCode error, string message)
    {
        while (_waiting.TakeFirst() is { } operation)
        {
            replica.Worker.Fail(operation, error, message);
        }
    }

    private void Ask()
    {
        _askedAtMs = replica.Worker.NowMs;
        replica.AskToAdvance(_wanted);
    }
}

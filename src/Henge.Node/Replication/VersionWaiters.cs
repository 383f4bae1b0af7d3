using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Clocks;
using Henge.Node.Workers;

namespace Henge.Node.Replication;

/// <summary>
/// Reads that want a version at which a shard's history is closed: no write may get that version, or one below it, any more. That is so
/// once an entry with that version or a higher one is applied. Belongs to the shard's worker.
/// </summary>
internal sealed class VersionWaiters(ShardReplica replica)
{
    private const int RepeatMs = 100;
    private OperationList _waiting;
    private Core.Version _wanted;
    private long _askedAtMs;

    /// <summary>Nobody waits.</summary>
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
                replica.Worker.Fail(
                    operation,
                    ErrorCode.Unavailable,
                    "The shard had no leader that could close its history at the version before the deadline. Try again, or read at an "
                        + "older version.");
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

    /// <summary>The leader refuses to go that far: what wants as much fails, with whose clock is wrong.</summary>
    public void OnRefused(NodeId by, Core.Version version, Core.Version limit)
    {
        OperationList kept = default;
        while (_waiting.TakeFirst() is { } operation)
        {
            if (operation.Version >= version && version > limit)
            {
                replica.Worker.Fail(
                    operation,
                    ErrorCode.Unavailable,
                    $"The read wants version {version} ({version.ToTime():O}), and {replica.Shard}, led by {NameOf(by)}, goes no further "
                        + $"than {limit} ({limit.ToTime():O}): "
                        + $"the versions of another shard, or the clock of {replica.Node.Options.Name}, are "
                        + $"{ClockText.Of(TimeSpan.FromMilliseconds(version.Milliseconds - limit.Milliseconds))} too far ahead. See "
                        + $"\"Clocks\" in docs/operations.md.");
            }
            else
            {
                kept.Add(operation);
            }
        }

        _waiting = kept;
        _wanted = default;
        for (Operation? o = kept.First; o is not null; o = o.Next)
        {
            _wanted = o.Version > _wanted ? o.Version : _wanted;
        }
    }

    private string NameOf(NodeId id) => replica.Node.NameOf(id) ?? id.ToString();

    /// <summary>Takes all away.</summary>
    public OperationList TakeAll()
    {
        OperationList all = _waiting;
        _waiting = default;
        return all;
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

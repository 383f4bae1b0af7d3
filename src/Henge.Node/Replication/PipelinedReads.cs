using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Workers;

namespace Henge.Node.Replication;

/// <summary>
/// Reads of pipelines that came behind writes of the same pipeline to the same key: they begin when those have ended, so that a pipeline
/// sees what it has written. Belongs to the shard's worker.
/// </summary>
internal sealed class PipelinedReads(ShardReplica replica, WriteOrder order, ShardReads reads)
{
    private OperationList _waiting;

    /// <summary>Takes a read in. What a read of the past or a stale one sees does not depend on writes under way.</summary>
    public void Add(Operation read)
    {
        bool mayWait = read.Pipeline != 0 && read.ReadVersion.IsZero && read.Consistency != ReadConsistency.Stale
            && !replica.Node.Options.Bugs.ReadsBesideOwnWrites;
        if (mayWait && order.MustWait(read))
        {
            _waiting.Add(read);
        }
        else
        {
            reads.Add(read);
        }
    }

    /// <summary>Begins those whose writes have ended.</summary>
    public void Serve()
    {
        if (_waiting.IsEmpty)
        {
            return;
        }

        OperationList kept = default;
        while (_waiting.TakeFirst() is { } read)
        {
            if (order.MustStillWait(read))
            {
                kept.Add(read);
            }
            else
            {
                reads.Add(read);
            }
        }

        _waiting = kept;
    }

    /// <summary>Fails what is past its deadline.</summary>
    public void Expire(long nowMs)
    {
        if (_waiting.IsEmpty)
        {
            return;
        }

        OperationList kept = default;
        while (_waiting.TakeFirst() is { } read)
        {
            if (read.DeadlineMs <= nowMs)
            {
                replica.Worker.Fail(
                    read,
                    ErrorCode.Unavailable,
                    "The writes that the read was sent behind had not ended before its deadline. Try again.",
                    replica.LeaderAddress);
            }
            else
            {
                kept.Add(read);
            }
        }

        _waiting = kept;
    }

    /// <summary>Fails everything.</summary>
    public void FailAll(ErrorCode error, string message)
    {
        while (_waiting.TakeFirst() is { } read)
        {
            replica.Worker.Fail(read, error, message);
        }
    }
}

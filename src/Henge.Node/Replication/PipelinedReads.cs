using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Workers;

namespace Henge.Node.Replication;

/// <summary>
/// Reads of pipelines that came behind writes of the same pipeline to the same key: they begin when those have ended, so that a pipeline
/// sees what it has written. Belongs to the shard's worker.
/// </summary>
internal sealed class PipelinedReads(Worker worker, NodeContext node, WriteOrder order)
{
    private OperationList _waiting;

    /// <summary>True when nothing waits.</summary>
    public bool IsEmpty => _waiting.IsEmpty;

    /// <summary>
    /// Takes a read in if it has to wait; false when it can begin at once. What a read of the past or a stale one sees does not depend on
    /// writes under way.
    /// </summary>
    public bool TryHold(Operation read)
    {
        bool mayWait = read.Pipeline != 0 && read.ReadVersion.IsZero && read.Consistency != ReadConsistency.Stale
            && !node.Options.Bugs.ReadsBesideOwnWrites;
        if (!mayWait || !order.MustWait(read))
        {
            return false;
        }

        _waiting.Add(read);
        return true;
    }

    /// <summary>Takes away those whose writes have ended.</summary>
    public OperationList TakeReady()
    {
        OperationList ready = default;
        if (_waiting.IsEmpty)
        {
            return ready;
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
                ready.Add(read);
            }
        }

        _waiting = kept;
        return ready;
    }

    /// <summary>Fails what is past its deadline.</summary>
    public void Expire(long nowMs, string? leaderAddress)
    {
        OperationList expired = _waiting.TakeExpired(nowMs);
        while (expired.TakeFirst() is { } read)
        {
            worker.Fail(
                read,
                ErrorCode.Unavailable,
                "The writes that the read was sent behind had not ended before its deadline. Try again.",
                leaderAddress);
        }
    }

    /// <summary>Takes all away.</summary>
    public OperationList TakeAll()
    {
        OperationList all = _waiting;
        _waiting = default;
        return all;
    }
}

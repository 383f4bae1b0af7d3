using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Node.Context;

namespace Henge.Node.Catalog;

/// <summary>
/// Whether this node has applied all of the catalog that was acknowledged before it started. What a node finds on its disk may lack the
/// last of it, and a permission that was taken away would stand again for a moment (docs/decisions/0208). So it asks once, by a read
/// of the present, up to where it has to have got. Called by the thread that ticks, except where it says otherwise.
/// </summary>
internal sealed class CatalogFreshness(NodeContext node, ICatalogShard catalog)
{
    private const long PatienceMs = 2_000;
    private static readonly byte[] Key = Encoding.UTF8.GetBytes(AccessView.RevisionKey);
    private long _needed;
    private int _asking;
    private volatile bool _isKnown;

    /// <summary>True when a view has everything. Thread-safe.</summary>
    public bool IsReached(CatalogView? view) => _isKnown && view is not null && view.ReadAt.Value >= (ulong)Volatile.Read(ref _needed);

    /// <summary>Asks, until it was answered.</summary>
    public void Run()
    {
        if (_isKnown || Interlocked.Exchange(ref _asking, 1) != 0)
        {
            return;
        }

        node.Admit(1);
        catalog.Submit(new Question(this)
        {
            Kind = OperationKind.Get,
            Key = Key,
            Consistency = ReadConsistency.Linearizable,
            Shard = ShardId.Catalog,
            DeadlineMs = node.MonotonicMs + PatienceMs,
        });
    }

    private void OnAnswered(Operation question)
    {
        // By the index: a version may be that of a clock, where nothing has been written since. Answered by this node's own replica, which
        // has applied by now all that was acknowledged before the question; another node's answer says nothing of it.
        if (question is { Error: ErrorCode.None, Remote: null })
        {
            Volatile.Write(ref _needed, (long)catalog.Applied.Value);
            _isKnown = true;
        }

        Volatile.Write(ref _asking, 0);
    }

    private sealed class Question(CatalogFreshness owner) : Operation
    {
        protected override void OnCompleted() => owner.OnAnswered(this);
    }
}

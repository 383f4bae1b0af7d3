using Grpc.Core;
using Henge.Core;
using Henge.Server.Calls;

namespace Henge.Server.Cluster;

/// <summary>
/// One WatchTopology call: the whole topology, and then what has changed. A caller that reads slowly misses editions in between and gets
/// the newest one whole; nothing is kept for it.
/// </summary>
internal sealed class TopologyStream(TopologyFeed feed, IServerStreamWriter<EncodedMessage> answers, ServerCallContext call)
{
    private readonly CallTerms _terms = CallTerms.Of(call);

    public async Task RunAsync()
    {
        TopologyEdition edition = feed.Enter();
        try
        {
            // Without the id a caller could not tell whether the addresses lead to nodes of this cluster.
            if (edition.Topology.ClusterId.Length == 0)
            {
                throw ClusterService.IdNotKnown();
            }

            await WriteAsync(edition.Whole);
            while (true)
            {
                await edition.Superseded.WaitAsync(_terms.Cancellation);
                TopologyEdition next = feed.Current;
                await WriteAsync(next.Number == edition.Number + 1 ? next.Changes : next.Whole);
                edition = next;
            }
        }
        finally
        {
            feed.Leave();
        }
    }

    private async Task WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        // Its copy on the way to the caller.
        long counted = bytes.Length > MessageBudget.FreeBytes ? bytes.Length : 0;
        _terms.Gate.Budget.Take(counted);
        try
        {
            answers.WriteOptions = _terms.OptionsOf(bytes.Length, flush: true);
            await _terms.TakenAsync(answers.WriteAsync(new EncodedMessage { Bytes = bytes }));
        }
        finally
        {
            _terms.Gate.Budget.GiveBack(counted);
        }
    }
}

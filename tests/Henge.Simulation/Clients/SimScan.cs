using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Simulation.World;
using Henge.Storage;
using Version = Henge.Core.Version;

namespace Henge.Simulation.Clients;

/// <summary>A scan over everything, page by page with pauses between, as of one version.</summary>
internal sealed class SimScan(SimClient client, SimCluster cluster, SimHistory history, SimRandom random) : IScanReceiver
{
    private readonly SortedDictionary<string, (long Value, ulong Version)> _found = new(StringComparer.Ordinal);
    private readonly bool _reverse = random.PerMille(300);
    private readonly long _call = history.Instant();
    private byte[] _lower = [], _upper = [];

    public void Begin()
    {
        if (client.AnyNode() is not { } node)
        {
            client.Done();
            return;
        }

        int epoch = node.Epoch;
        client.Run(node, static o => (o.Kind, o.AllShards) = (OperationKind.Barrier, true), barrier =>
        {
            if (barrier is null || barrier.Error != ErrorCode.None)
            {
                cluster.Statistics.Errors++;
                client.Done();
                return;
            }

            Page(node, epoch, barrier.Version);
        });
    }

    public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Version version, EntryKind kind, long expiresAtMs)
    {
        if (!_found.TryAdd(Encoding.ASCII.GetString(key), (SimValue.NumberOf(value, SimValue.TypeOf(kind)), version.Value)))
        {
            throw new SimulationException($"A scan gave the key {Encoding.ASCII.GetString(key)} twice.");
        }
    }

    // Where the node has all shards there is nothing to fetch.
    private void Page(SimNode node, int epoch, Version version)
    {
        if (node.Epoch != epoch || node.Node is null || node.IsPaused)
        {
            client.Done();
            return;
        }

        var page = PageFetch.OfScan(new ScanQuery
        {
            Version = version,
            Lower = _lower,
            Upper = _upper,
            Reverse = _reverse,
            LimitItems = 1 + random.Next(5),
            LimitBytes = 4096,
        });
        if (node.Node.HasAllShardsAt(page.Required))
        {
            Read(node, epoch, page);
            return;
        }

        client.Run(node, o => (o.Kind, o.Page) = (OperationKind.Page, page), fetched =>
        {
            if (fetched is not { Error: ErrorCode.None } || node.Epoch != epoch || node.Node is null || node.IsPaused)
            {
                cluster.Statistics.Errors++;
                client.Done();
                return;
            }

            cluster.Statistics.PagesFetched += page.Pages.Count;
            Read(node, epoch, page);
        });
    }

    private void Read(SimNode node, int epoch, PageFetch page)
    {
        bool more = false, gone = false;
        bool finished = node.Guard("scan", () =>
        {
            try
            {
                ScanEnd end = node.Node!.ReadPage(page, this);
                more = end.More;
                if (more)
                {
                    (_lower, _upper) = _reverse ? (_lower, end.NextKey!) : (end.NextKey!, _upper);
                }
            }
            catch (HengeException e) when (e.Code == ErrorCode.HistoryGone || node.MayRefuse(e))
            {
                // Unavailable: a shard's state is being replaced by its leader's, or has left the node.
                gone = true;
            }
        });
        if (!finished)
        {
            client.Done();
        }
        else if (gone)
        {
            cluster.Statistics.HistoryGone++;
            client.Done();
        }
        else if (more)
        {
            cluster.World.After(random.Between(10_000, 20_000_000), () => Page(node, epoch, page.Query.Version));
        }
        else
        {
            cluster.Statistics.Scans++;
            history.Scans.Add(new ScanRecord(_call, history.Instant(), page.Query.Version.Value, _found, IsNow: true));
            client.Done();
        }
    }
}

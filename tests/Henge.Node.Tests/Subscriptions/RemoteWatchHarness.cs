using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Opening;
using Henge.Node.Tests.Clusters;
using Henge.Node.Watch;

namespace Henge.Node.Tests.Subscriptions;

/// <summary>A watch on a node of a harness, of which other nodes give some shards, and what it has seen.</summary>
internal sealed class RemoteWatchHarness : IWatchReceiver, IDisposable
{
    private readonly ClusterHarness _cluster;
    private readonly HarnessNode _node;
    private readonly List<(string Key, Core.Version Version, string Text)> _came = [];

    /// <summary>Begins to open a watch; the node acts as if it did not carry the hidden shards, all by default.</summary>
    public RemoteWatchHarness(
        ClusterHarness cluster, HarnessNode node, WatchQuery? query = null, Predicate<ShardId>? hidden = null, int readItems = 100)
    {
        (_cluster, _node, ReadItems) = (cluster, node, readItems);
        Watch = (NodeWatch)node.Running.Parts.Watches.Hiding(hidden ?? (static _ => true)).Open(query ?? new WatchQuery(), () => Calls++);
    }

    public NodeWatch Watch { get; }

    public int ReadItems { get; set; }

    /// <summary>How often the watch has called.</summary>
    public int Calls { get; private set; }

    /// <summary>Events in the order in which they came: key, version, and the rest as text.</summary>
    public List<(string Key, Core.Version Version, string Text)> Seen { get; } = [];

    public List<Core.Version> Marks { get; } = [];

    /// <summary>The token behind what was seen.</summary>
    public byte[] Token { get; private set; } = [];

    public static NodeParts PartsOf(HarnessNode node) => node.Running.Parts;

    /// <summary>Lets time pass until the watch stands.</summary>
    public RemoteWatchHarness Opened()
    {
        _cluster.RunUntil(Watch.TryOpen, what: "an open watch");
        Token = Watch.ResumeToken;
        return this;
    }

    /// <summary>Reads what there is now, and checks what must always hold.</summary>
    public void Read()
    {
        bool more = true;
        while (more)
        {
            _came.Clear();
            more = Watch.TryRead(this, ReadItems, 1 << 20);
            Token = Watch.TryOpen() ? Watch.ResumeToken : Token;
            foreach ((string key, Core.Version version, string text) in _came)
            {
                Assert.True(
                    Seen.FindLast(s => s.Key == key).Version < version,
                    $"{key} came at {version} after {Seen.FindLast(s => s.Key == key).Version} (seed {_cluster.Seed})");
                Seen.Add((key, version, text));
            }
        }
    }

    /// <summary>Lets time pass and reads until so many events have been seen.</summary>
    public void ReadUntil(int events, long limitMs = 20_000) =>
        _cluster.RunUntil(
            () =>
            {
                Read();
                return Seen.Count >= events;
            },
            limitMs,
            $"{events} events; {Seen.Count} are there");

    /// <summary>Reads a while longer: nothing more may come.</summary>
    public void AssertNothingMore(int events)
    {
        for (int i = 0; i < 50; i++)
        {
            _cluster.Run(20);
            Read();
        }

        Assert.Equal(events, Seen.Count);
    }

    public void OnEvent(in WatchEventView e)
    {
        if (e.Reason == WatchReason.Progress)
        {
            Marks.Add(e.Version);
            return;
        }

        string key = System.Text.Encoding.UTF8.GetString(e.Key);
        string value = System.Text.Encoding.UTF8.GetString(e.Value);
        string previous = e.HasPrevious ? $" was {System.Text.Encoding.UTF8.GetString(e.PreviousValue)}" : "";
        _came.Add((key, e.Version, $"{e.Reason} {key}={value}{previous}"));
    }

    public void Dispose()
    {
        if (_node.IsRunning)
        {
            Watch.Dispose();
        }
    }
}

using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Storage.Files;

namespace Henge.Node.Tests.Clusters;

/// <summary>What decides who a replica is, is fixed when a cluster is made.</summary>
public sealed class FoundingTests
{
    public static TheoryData<string, string, string> Misfits => new()
    {
        { "shards", "4", "8" },
        { "cluster-token", "none", "one with hash" },
        { "cluster", "node2=10.0.0.2:7000", "node2=10.0.0.2:7009" },
    };

    [Theory]
    [MemberData(nameof(Misfits))]
    public void A_node_that_was_first_started_with_another_setting_never_serves_and_both_sides_say_which(
        string setting,
        string right,
        string wrong)
    {
        var cluster = new ClusterHarness(3, configure: o => o.Name == "node1" ? Misfit(o, setting) : o, start: false);
        HarnessNode misfit = cluster.Nodes[0];
        misfit.Start();
        cluster.Run(1_000);
        cluster.Nodes[1].Start();
        cluster.Nodes[2].Start();
        HarnessOperation put = HarnessOperation.Put("k", "lost");
        misfit.Running.Submit(put);
        cluster.RunUntil(() => misfit.FatalMessage is not null);
        cluster.Run(6_000);
        Assert.False(put is { IsDone: true, Error: ErrorCode.None }, put.ToString());
        Assert.Contains($"{setting} is", misfit.FatalMessage, StringComparison.Ordinal);
        Assert.Contains(right, misfit.FatalMessage, StringComparison.Ordinal);
        Assert.Contains(wrong, misfit.FatalMessage, StringComparison.Ordinal);

        cluster.Put(cluster.Nodes[1], "k", "kept");
        Assert.Equal("kept", cluster.Get(cluster.Nodes[2], "k"));
        foreach (HarnessNode node in cluster.Nodes.Skip(1))
        {
            string refused = Assert.Single(node.Running.GetStatus().RefusedPeers);
            Assert.StartsWith("node1: ", refused, StringComparison.Ordinal);
            Assert.Contains($"{setting} is", refused, StringComparison.Ordinal);
            Assert.Contains(wrong, refused, StringComparison.Ordinal);
            Assert.True(node.HasTold(nameof(INodeEvents.PeerRefused), "node1"));
            Assert.Null(node.FatalMessage);
        }
    }

    [Fact]
    public void A_node_with_other_settings_joins_once_its_directory_is_empty_and_its_settings_are_right()
    {
        bool isWrong = true;
        var cluster = new ClusterHarness(3, configure: o => o.Name == "node1" && isWrong ? Misfit(o, "shards") : o);
        HarnessNode misfit = cluster.Nodes[0];
        cluster.RunUntil(() => misfit.FatalMessage is not null);
        isWrong = false;
        misfit.Crash();
        misfit.LoseDisk();
        misfit.Start();
        cluster.RunUntilLed();
        cluster.Put(misfit, "k", "v");
        cluster.RunUntil(() => cluster.Nodes.All(static n => n.Running.GetStatus().RefusedPeers.Count == 0));
        cluster.RunUntil(() => cluster.Nodes.All(static n => n.Running.ClusterId.Length == 32));
        Assert.Single(cluster.Nodes.Select(static n => n.Running.ClusterId).Distinct());
    }

    [Theory]
    [MemberData(nameof(Misfits))]
    public void A_node_with_other_settings_opens_no_watch_and_refuses_no_valid_resume_token(string setting, string right, string wrong)
    {
        Assert.NotEqual(right, wrong);
        bool isWrong = true;
        var cluster = new ClusterHarness(3, configure: o => o.Name == "node1" && isWrong ? Misfit(o, setting) : o, start: false);
        HarnessNode misfit = cluster.Nodes[0];
        cluster.Nodes[1].Start();
        cluster.Nodes[2].Start();
        cluster.RunUntil(() => cluster.Nodes[1].Running.ClusterId.Length == 32);
        cluster.RunUntil(() => Enumerable.Range(0, 4).All(s => !cluster.Nodes[1].Replica((uint)s).AppliedVersion.IsZero));
        using IWatch watch = cluster.Nodes[1].Running.OpenWatch(new WatchQuery(), static () => { });
        byte[] token = watch.ResumeToken;

        misfit.Start();
        foreach (WatchQuery query in (WatchQuery[])[new WatchQuery(), new WatchQuery { Resume = token }])
        {
            Assert.Equal(
                ErrorCode.Unavailable,
                Assert.Throws<HengeException>(() => misfit.Running.OpenWatch(query, static () => { })).Code);
        }

        isWrong = false;
        misfit.Crash();
        misfit.LoseDisk();
        misfit.Start();
        cluster.RunUntil(() => misfit.Running.ClusterId.Length == 32);
        using IWatch resumed = misfit.Running.OpenWatch(new WatchQuery { Resume = token }, static () => { });
    }

    [Fact]
    public void Clusters_of_equal_settings_have_different_ids()
    {
        ClusterHarness[] clusters = [new(1, seed: 1), new(1, seed: 2)];
        foreach (ClusterHarness cluster in clusters)
        {
            cluster.RunUntil(() => cluster.Nodes[0].Running.ClusterId.Length == 32);
        }

        Assert.NotEqual(clusters[0].Nodes[0].Running.ClusterId, clusters[1].Nodes[0].Running.ClusterId);
        string id = clusters[0].Nodes[0].Running.ClusterId;
        clusters[0].Nodes[0].Stop();
        clusters[0].Nodes[0].Start();
        clusters[0].RunUntil(() => clusters[0].Nodes[0].Running.ClusterId == id);
    }

    [Fact]
    public void Nodes_that_can_never_form_a_majority_end()
    {
        var cluster = new ClusterHarness(2, configure: static o => o.Name == "node1" ? o with { Shards = 8 } : o);
        cluster.RunUntil(() => cluster.Nodes.All(static n => n.FatalMessage is not null));
        Assert.All(cluster.Nodes, static n => Assert.Contains("no majority is left", n.FatalMessage, StringComparison.Ordinal));
    }

    [Fact]
    public void A_node_with_fewer_replicas_than_the_others_leads_nothing_before_there_is_a_cluster()
    {
        var cluster = new ClusterHarness(3, configure: static o => o.Name == "node1" ? o with { ReplicationFactor = 1 } : o, start: false);
        HarnessNode misfit = cluster.Nodes[0];
        misfit.Start();

        // Its shards have one voter each, itself; several election timeouts pass.
        cluster.Run(10_000);
        Assert.DoesNotContain(misfit.Running.GetStatus().Shards, static s => s.Role == ReplicaRole.Leader);
        cluster.Nodes[1].Start();
        cluster.Nodes[2].Start();
        cluster.RunUntil(() => misfit.FatalMessage is not null);
        Assert.Contains("replication-factor is 1 here and 3 there", misfit.FatalMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cluster_with_fewer_replicas_than_nodes_leads_its_shards_once_it_is_made()
    {
        var cluster = new ClusterHarness(5, configure: static o => o with { ReplicationFactor = 3 });
        cluster.RunUntil(() => Enumerable.Range(0, 4).All(s => cluster.LeaderOf((uint)s) is not null));
        Assert.All(cluster.Nodes, static n => Assert.Equal(32, n.Running.ClusterId.Length));
    }

    [Theory]
    [InlineData("shards", "shards 4, and this start says 8")]
    [InlineData("cluster-token", "made with no cluster-token")]
    [InlineData("replication-factor", "replication-factor 3, and this start says 2")]
    public void A_restart_with_another_setting_is_refused_with_the_way_out(string setting, string told)
    {
        bool isWrong = false;
        var cluster = new ClusterHarness(3, configure: o => isWrong ? Misfit(o, setting) : o);
        cluster.Put(cluster.Nodes[0], "a", "1");
        HarnessNode node = cluster.Nodes[2];
        node.Crash(Henge.Testing.Files.CrashMode.KeepAll);
        isWrong = true;
        HengeException e = Assert.Throws<HengeException>(node.Start);
        Assert.Equal(ErrorCode.Misconfigured, e.Code);
        Assert.Contains(told, e.Message, StringComparison.Ordinal);
        isWrong = false;
        node.Start();
        cluster.RunUntilLed();
    }

    [Fact]
    public void The_catalog_says_what_the_cluster_was_made_with_and_a_node_of_another_has_no_place_in_it()
    {
        var cluster = new ClusterHarness(1);
        HarnessNode node = cluster.Nodes[0];
        cluster.RunUntil(() => node.Running.Parts.Context.Cluster.IsEstablished);
        NodeIdentity identity = node.Running.Parts.Context.Identity;
        node.Stop();
        IdentityFile.Write(
            node.Files,
            "/data",
            identity with
            {
                Founding = identity.Founding with { Members = [new ClusterMember("node1", "10.0.0.9:1")] },
            });
        node.Start();
        cluster.RunUntil(() => node.FatalMessage is not null);
        Assert.Contains("cluster is node1=10.0.0.9:1 here", node.FatalMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_of_version_1_is_taken_over_when_the_settings_prove_what_it_lacks()
    {
        int factor = 3;
        var cluster = new ClusterHarness(3, configure: o => o with { ReplicationFactor = factor });
        cluster.Put(cluster.Nodes[0], "a", "1");
        foreach (HarnessNode node in cluster.Nodes)
        {
            NodeIdentity identity = node.Running.Parts.Context.Identity;
            node.Stop();
            WriteOld(node, identity, IdentityFile.OldClusterId(cluster.Members, "", 4));
        }

        factor = 0;
        Assert.Equal(ErrorCode.Misconfigured, Assert.Throws<HengeException>(cluster.Nodes[0].Start).Code);
        factor = 3;
        foreach (HarnessNode node in cluster.Nodes)
        {
            node.Start();
            Assert.Equal(3, node.Running.Parts.Context.Identity.Founding.ReplicationFactor);
        }

        Assert.StartsWith("henge-node 2\n", ReadFile(cluster.Nodes[0]), StringComparison.Ordinal);
        cluster.Nodes[0].Stop();
        WriteOld(
            cluster.Nodes[0],
            new NodeIdentity
            {
                Name = "node1",
                Incarnation = 1,
                Founding = cluster.Nodes[1].Running.Parts.Context.Identity.Founding,
            },
            new string('1', 32));
        Assert.Equal(ErrorCode.Misconfigured, Assert.Throws<HengeException>(cluster.Nodes[0].Start).Code);
    }

    [Fact]
    public void A_hello_that_makes_no_sense_is_refused_and_never_taken_for_another_frame()
    {
        var cluster = new ClusterHarness(2);
        cluster.RunUntilLed();
        var receiver = (IPeerReceiver)cluster.Nodes[0].Running;
        byte[] good = ((IPeerReceiver)cluster.Nodes[1].Running).HelloTo(new NodeId(1));
        Assert.True(receiver.OnHello(good, out NodeId peer));
        Assert.Equal(new NodeId(2), peer);
        Assert.True(good.Length <= PeerFrame.MaxHelloBytes);
        for (int length = 0; length < good.Length; length++)
        {
            Assert.False(receiver.OnHello(good.AsSpan(0, length), out _));
        }

        var other = new PeerFrameBuilder(cluster.Nodes[1].Running.Parts.Context.Sender, new NodeId(1));
        other.BeginRecord(PeerRecordKind.Raft, new ShardId(0));
        other.EndRecord();
        Assert.False(receiver.OnHello(other.Complete(0), out _));
    }

    private static NodeOptions Misfit(NodeOptions options, string setting) =>
        setting switch
        {
            "shards" => options with { Shards = 8 },
            "cluster-token" => options with { ClusterToken = "another" },
            "replication-factor" => options with { ReplicationFactor = 2 },
            _ => options with
            {
                Cluster = [.. options.Cluster.Select(static m => m.Name == "node2" ? m with { Address = "10.0.0.2:7009" } : m)],
            },
        };

    private static string ReadFile(HarnessNode node)
    {
        using IFile file = node.Files.Open("/data/IDENTITY", FileOpenMode.Read);
        byte[] bytes = new byte[file.Length];
        return Encoding.UTF8.GetString(bytes.AsSpan(0, file.Read(0, bytes)));
    }

    private static void WriteOld(HarnessNode node, NodeIdentity identity, string clusterId)
    {
        string body =
            string.Create(
                CultureInfo.InvariantCulture,
                $"henge-node 1\ncluster {clusterId}\nname {identity.Name}\nincarnation {identity.Incarnation:x16}\nshards 4\n"
            ) + string.Concat(identity.Founding.Members.Select(static m => $"member {m.Name}\n"));
        node.Files.Delete("/data/IDENTITY");
        using IFile file = node.Files.Open("/data/IDENTITY", FileOpenMode.CreateNew);
        file.Write(
            0,
            Encoding.UTF8.GetBytes(
                body + "crc " + Crc32C.Compute(Encoding.UTF8.GetBytes(body)).ToString("x8", CultureInfo.InvariantCulture) + "\n"));
        file.Sync();
    }
}

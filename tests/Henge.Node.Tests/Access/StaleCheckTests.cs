using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Peers;
using Henge.Node.Tests.Clusters;

namespace Henge.Node.Tests.Access;

/// <summary>
/// A node that does not know yet that a right was taken away lets an operation through; the node that is to do it knows better
/// (docs/decisions/0212). The shard of the key lies on another node than the one that is asked.
/// </summary>
public sealed class StaleCheckTests
{
    private const string Key = "a/1";

    [Theory]
    [InlineData(OperationKind.Get)]
    [InlineData(OperationKind.Write)]
    [InlineData(OperationKind.Page)]
    public void What_was_taken_away_is_refused_by_the_node_that_does_it(OperationKind kind)
    {
        AccessHarness cluster = new();
        Core.Version before = cluster.Revision;
        Assert.Equal(ErrorCode.None, cluster.Try(Make(kind), before, "ann").Error);
        cluster.Do(new() { Kind = AccessChangeKind.Revoke, Name = "r", Permissions = AccessHarness.All, Range = KeyRange.Prefix("a/") });
        HarnessOperation refused = cluster.Try(Make(kind), before, "ann");
        Assert.Equal(ErrorCode.PermissionDenied, refused.Error);
        Assert.Contains("'ann'", refused.ErrorMessage, StringComparison.Ordinal);

        // Root may still, and what was let through by what is in force is not looked at again.
        Assert.Equal(ErrorCode.None, cluster.Try(Make(kind), before, "root").Error);
        Assert.Equal(ErrorCode.None, cluster.Try(Make(kind), cluster.Revision, "ann").Error);
    }

    [Theory]
    [InlineData(OperationKind.Get)]
    [InlineData(OperationKind.Write)]
    [InlineData(OperationKind.Page)]
    public void A_node_that_believes_that_nothing_is_checked_is_not_believed(OperationKind kind)
    {
        AccessHarness cluster = new();
        Assert.Equal(ErrorCode.Unauthenticated, cluster.Try(Make(kind), default(Core.Version), null).Error);
        Assert.Equal(ErrorCode.PermissionDenied, cluster.Try(Make(kind), default(Core.Version), "nobody-known").Error);
        Assert.Equal(ErrorCode.None, cluster.Try(Make(kind), null, null).Error);
    }

    [Fact]
    public void A_login_that_was_taken_back_counts_no_more_and_one_that_has_no_generation_does()
    {
        AccessHarness cluster = new();
        Core.Version before = cluster.Revision;
        cluster.Do(new() { Kind = AccessChangeKind.RevokeTokens, Name = "ann", Generation = 8 });
        Assert.Equal(ErrorCode.Unauthenticated, cluster.Try(Make(OperationKind.Write), before, "ann", 0).Error);
        Assert.Equal(ErrorCode.Unauthenticated, cluster.Try(Make(OperationKind.Get), before, "ann", 7).Error);
        Assert.Equal(ErrorCode.None, cluster.Try(Make(OperationKind.Write), before, "ann", 8).Error);
        Assert.Equal(ErrorCode.None, cluster.Try(Make(OperationKind.Get), before, "ann").Error);
        cluster.Do(new() { Kind = AccessChangeKind.DeleteUser, Name = "ann" });
        Assert.Equal(ErrorCode.Unauthenticated, cluster.Try(Make(OperationKind.Write), before, "ann", 8).Error);
        Assert.Equal(ErrorCode.PermissionDenied, cluster.Try(Make(OperationKind.Write), before, "ann").Error);
    }

    [Fact]
    public void A_watch_of_another_node_is_served_no_more_once_that_may_not_be()
    {
        AccessHarness cluster = new();
        Core.Version before = cluster.Revision;
        using IWatch watch = cluster.Watch(before, "ann");
        cluster.RunUntil(watch.TryOpen, "it is open");
        cluster.Do(new() { Kind = AccessChangeKind.Grant, Name = "r", Permissions = AccessHarness.All, Range = KeyRange.Prefix("b/") });
        cluster.Pass();
        Assert.Null(cluster.ProblemOf(watch));
        cluster.Do(new() { Kind = AccessChangeKind.Revoke, Name = "r", Permissions = AccessHarness.All, Range = KeyRange.Prefix("a/") });
        cluster.RunUntil(() => cluster.ProblemOf(watch) == ErrorCode.PermissionDenied, "it has ended");
        using IWatch late = cluster.Watch(before, "ann");
        cluster.RunUntil(() => cluster.ProblemOf(late, opening: true) == ErrorCode.PermissionDenied, "it is not opened");
    }

    [Fact]
    public void Once_access_is_checked_no_more_nothing_is_refused()
    {
        AccessHarness cluster = new();
        Core.Version before = cluster.Revision;
        cluster.Do(new() { Kind = AccessChangeKind.Disable });
        Assert.Equal(ErrorCode.None, cluster.Try(Make(OperationKind.Write), before, "nobody-known").Error);
        Assert.Equal(ErrorCode.None, cluster.Try(Make(OperationKind.Get), default(Core.Version), null).Error);
    }

    [Fact]
    public void The_planted_bug_lets_it_through()
    {
        AccessHarness cluster = new(NodeBugs.TrustOldChecks);
        Core.Version before = cluster.Revision;
        cluster.Do(new() { Kind = AccessChangeKind.Revoke, Name = "r", Permissions = AccessHarness.All, Range = KeyRange.Prefix("a/") });
        Assert.Equal(ErrorCode.None, cluster.Try(Make(OperationKind.Write), before, "ann").Error);
    }

    [Fact]
    public void Who_asks_is_read_as_it_was_written()
    {
        (string? User, ulong? Generation, Core.Version? At)[] all =
        [
            (null, null, null), (null, null, default(Core.Version)), ("ann", null, default(Core.Version)),
            ("ann", 0, new Core.Version(7)), (new string('x', 64), ulong.MaxValue, Core.Version.Max), (null, null, new Core.Version(9)),
        ];
        foreach ((string? user, ulong? generation, Core.Version? at) in all)
        {
            HarnessOperation operation = Make(OperationKind.Get);
            operation.Asker = new Asker(user, generation, at);
            byte[] bytes = new byte[AskerRecord.SizeOf(operation.Asker) + 3];
            bytes.AsSpan().Fill(0xAA);
            Assert.Equal(3, AskerRecord.Write(bytes, operation.Asker).Length);
            Assert.True(AskerRecord.TryRead(bytes, out AskerRecord asker, out ReadOnlySpan<byte> behind));
            Assert.Equal([0xAA, 0xAA, 0xAA], behind.ToArray());
            Assert.Equal((at is not null, at ?? default), (asker.IsChecked, asker.CheckedAt));
            if (at is not null)
            {
                Assert.Equal((user ?? "", generation), (Encoding.ASCII.GetString(asker.Name), asker.Generation));
            }

            for (int cut = 0; cut < bytes.Length - 3; cut++)
            {
                Assert.False(AskerRecord.TryRead(bytes.AsSpan(0, cut), out _, out _));
            }
        }

        byte[][] senseless = [[0x10], [0x02, 1, 0, 0, 0, 0, 0, 0, 0], [0x04, 1, 0x61], [0x09, 1, 0, 0, 0, 0, 0, 0, 0], [0x05, 1, 0xFF],
            [0x05, 0], [0x05, 4, 0x6E, 0x6F, 0x64, 0x65], [0x03, 0, 0, 0, 0, 0, 0, 0, 0]];
        Assert.All(senseless, static bytes => Assert.False(AskerRecord.TryRead(bytes, out _, out _)));

        HarnessOperation cannotBe = Make(OperationKind.Get);
        cannotBe.Asker = new Asker(new string('é', 300), null, new Core.Version(1));
        byte[] nobody = new byte[AskerRecord.SizeOf(cannotBe.Asker)];
        AskerRecord.Write(nobody, cannotBe.Asker);
        Assert.True(AskerRecord.TryRead(nobody, out AskerRecord read, out _));
        Assert.True(read.Name.IsEmpty);
    }

    private static HarnessOperation Make(OperationKind kind) => kind switch
    {
        OperationKind.Get => HarnessOperation.Get(Key),
        OperationKind.Write => HarnessOperation.Put(Key, "v"),
        _ => new HarnessOperation
        {
            Kind = OperationKind.Page,
            Page = PageFetch.OfHistory(Encoding.UTF8.GetBytes(Key), Core.Version.Max, 10, 1 << 20),
        },
    };

    /// <summary>Five nodes with three replicas of each shard; root, and ann, who may do everything below <c>a/</c>.</summary>
    private sealed class AccessHarness
    {
        public const Permissions All = Permissions.Read | Permissions.Write | Permissions.Watch;
        private readonly ClusterHarness _cluster;
        private readonly HarnessNode _asked;

        public AccessHarness(NodeBugs bugs = NodeBugs.None)
        {
            _cluster = new ClusterHarness(5, 1, o => o with { ReplicationFactor = 3, Bugs = bugs });
            _cluster.RunUntilLed();
            _cluster.RunUntil(() => _cluster.Running.All(static n => n.Running.ClusterId.Length > 0), what: "the cluster is made");
            uint shard = _cluster.Nodes[0].Running.Parts.Context.Shards.ShardOf(Encoding.UTF8.GetBytes(Key)).Value;
            _asked = _cluster.Nodes.First(n => !n.Hosts(shard));
            Do(new() { Kind = AccessChangeKind.AddUser, Name = "root", PasswordHash = "h" });
            Do(new() { Kind = AccessChangeKind.AddUser, Name = "ann", PasswordHash = "h" });
            Do(new() { Kind = AccessChangeKind.AddRole, Name = "r" });
            Do(new() { Kind = AccessChangeKind.Grant, Name = "r", Permissions = All, Range = KeyRange.Prefix("a/") });
            Do(new() { Kind = AccessChangeKind.GrantRole, Name = "ann", Role = "r" });
            Do(new() { Kind = AccessChangeKind.Enable });
        }

        public Core.Version Revision => _asked.Running.Access.Revision;

        /// <summary>Changes something, and waits until all nodes know it.</summary>
        public void Do(AccessChange change)
        {
            (bool Ended, HengeException? Problem) came = default;
            HengeNode node = _asked.Running;
            node.ChangeAccess(change, node.MonotonicMs + 10_000, problem => came = (true, problem));
            _cluster.RunUntil(() => came.Ended, 12_000, $"{change} was answered");
            Assert.Null(came.Problem?.Message);
            _cluster.RunUntil(
                () => _cluster.Running.All(n => n.Running.Access.IsKnown && n.Running.Access.Revision == _asked.Running.Access.Revision),
                what: "all know it");
        }

        public void Pass() => _cluster.Run(3_000);

        public void RunUntil(Func<bool> condition, string what) => _cluster.RunUntil(condition, 20_000, what);

        public IWatch Watch(Core.Version revision, string user) => _asked.Running.OpenWatch(
            new WatchQuery { Lower = "a/"u8.ToArray(), Upper = "a0"u8.ToArray(), Asker = new Asker(user, null, revision) },
            static () => { });

        /// <summary>What a watch says when it is read from, or opened; null when nothing is wrong.</summary>
        public ErrorCode? ProblemOf(IWatch watch, bool opening = false)
        {
            try
            {
                if (opening)
                {
                    watch.TryOpen();
                }
                else
                {
                    watch.TryRead(new NoEvents(), 10, 1 << 20);
                }

                return null;
            }
            catch (HengeException e)
            {
                return e.Code;
            }
        }

        /// <summary>Does an operation as the guard of a node would hand it on that knew users and roles as of a revision.</summary>
        public HarnessOperation Try(HarnessOperation operation, Core.Version? revision, string? user, ulong? generation = null)
        {
            operation.Asker = new Asker(user, generation, revision);
            return _cluster.Complete(_asked, operation);
        }
    }

    private sealed class NoEvents : IWatchReceiver
    {
        public void OnEvent(in WatchEventView watchEvent)
        {
        }
    }
}

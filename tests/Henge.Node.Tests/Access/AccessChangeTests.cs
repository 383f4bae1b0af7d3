using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Tests.Clusters;

namespace Henge.Node.Tests.Access;

/// <summary>Users and roles in the catalog of a cluster, changed by whichever node is asked.</summary>
public sealed class AccessChangeTests
{
    private readonly ClusterHarness _cluster = new(3, 1, static o => o);

    public AccessChangeTests()
    {
        _cluster.RunUntilLed();
        _cluster.RunUntil(() => _cluster.Running.All(static n => n.Running.ClusterId.Length > 0), what: "the cluster is made");
    }

    [Fact]
    public void What_one_node_is_asked_for_is_in_force_on_all()
    {
        Do(0, new() { Kind = AccessChangeKind.AddUser, Name = "ann", PasswordHash = "h1" });
        Do(1, new() { Kind = AccessChangeKind.AddRole, Name = "reader" });
        Do(2, new() { Kind = AccessChangeKind.Grant, Name = "reader", Permissions = Permissions.Read, Range = KeyRange.Prefix("a/") });
        Do(0, new() { Kind = AccessChangeKind.GrantRole, Name = "ann", Role = "reader" });
        RunUntilAll(static v => v.Allows("ann", Permissions.Read, "a/1"u8));
        Assert.All(Views(), static v => Assert.False(v.Allows("ann", Permissions.Write, "a/1"u8) || v.IsEnabled));

        Do(1, new() { Kind = AccessChangeKind.Revoke, Name = "reader", Permissions = Permissions.Read, Range = KeyRange.Prefix("a/") });
        RunUntilAll(static v => !v.Allows("ann", Permissions.Read, "a/1"u8));
    }

    [Fact]
    public void Said_again_a_change_is_done_already()
    {
        AccessChange[] changes =
        [
            new() { Kind = AccessChangeKind.AddUser, Name = "ann", PasswordHash = "h1" },
            new() { Kind = AccessChangeKind.AddRole, Name = "r" },
            new() { Kind = AccessChangeKind.Grant, Name = "r", Permissions = Permissions.Write, Range = KeyRange.All },
            new() { Kind = AccessChangeKind.GrantRole, Name = "ann", Role = "r" },
            new() { Kind = AccessChangeKind.SetPassword, Name = "ann", PasswordHash = "h2", Generation = 7 },
            new() { Kind = AccessChangeKind.RevokeTokens, Name = "ann", Generation = 8 },
            new() { Kind = AccessChangeKind.RotateKey, SigningKey = new byte[] { 1, 2, 3 } },
            new() { Kind = AccessChangeKind.RevokeRole, Name = "ann", Role = "r" },
            new() { Kind = AccessChangeKind.DeleteRole, Name = "r" },
            new() { Kind = AccessChangeKind.DeleteUser, Name = "ann" },
            new() { Kind = AccessChangeKind.AddUser, Name = "root" },
            new() { Kind = AccessChangeKind.Enable },
            new() { Kind = AccessChangeKind.Disable },
        ];
        foreach (AccessChange change in changes)
        {
            Do(0, change);
            Core.Version revision = View(0).Revision;
            Do(0, change);
            Assert.Equal(revision, View(0).Revision);
        }
    }

    [Fact]
    public void What_cannot_be_is_refused_with_the_reason()
    {
        Assert.Contains("user add root", Refused(new() { Kind = AccessChangeKind.Enable }), StringComparison.Ordinal);
        Assert.Contains(
            "no user 'ann'",
            Refused(new() { Kind = AccessChangeKind.GrantRole, Name = "ann", Role = "r" }),
            StringComparison.Ordinal);
        Assert.Contains(
            "no role",
            Refused(new() { Kind = AccessChangeKind.Grant, Name = "s", Permissions = Permissions.Read }),
            StringComparison.Ordinal);
        Assert.Contains("those of nodes", Refused(new() { Kind = AccessChangeKind.AddUser, Name = "node" }), StringComparison.Ordinal);
        Assert.Contains("letters", Refused(new() { Kind = AccessChangeKind.AddUser, Name = "a b" }), StringComparison.Ordinal);
        Assert.Contains(
            "admin by itself",
            Refused(new() { Kind = AccessChangeKind.Grant, Name = "r", Permissions = Permissions.Admin | Permissions.Read }),
            StringComparison.Ordinal);
        Do(0, new() { Kind = AccessChangeKind.AddUser, Name = "root" });
        Do(0, new() { Kind = AccessChangeKind.Enable });
        Assert.Contains("auth disable", Refused(new() { Kind = AccessChangeKind.DeleteUser, Name = "root" }), StringComparison.Ordinal);
    }

    [Fact]
    public void A_role_that_was_deleted_is_not_given_back_by_another_one_of_its_name()
    {
        Do(0, new() { Kind = AccessChangeKind.AddUser, Name = "ann" });
        Do(0, new() { Kind = AccessChangeKind.AddRole, Name = "r" });
        Do(0, new() { Kind = AccessChangeKind.GrantRole, Name = "ann", Role = "r" });
        Do(0, new() { Kind = AccessChangeKind.DeleteRole, Name = "r" });
        Do(0, new() { Kind = AccessChangeKind.AddRole, Name = "r" });
        Do(0, new() { Kind = AccessChangeKind.Grant, Name = "r", Permissions = Permissions.Read, Range = KeyRange.All });
        Assert.False(View(0).Allows("ann", Permissions.Read, "k"u8));
    }

    [Fact]
    public void Users_outlive_a_restart_of_all_nodes()
    {
        Do(0, new() { Kind = AccessChangeKind.AddUser, Name = "root", PasswordHash = "h" });
        Do(0, new() { Kind = AccessChangeKind.Enable });
        foreach (HarnessNode node in _cluster.Nodes)
        {
            node.Crash();
        }

        foreach (HarnessNode node in _cluster.Nodes)
        {
            node.Start();
        }

        RunUntilAll(static v => v is { IsEnabled: true } && v.User("root")?.PasswordHash == "h");
    }

    [Fact]
    public void A_new_password_and_a_revocation_end_what_was_before_them()
    {
        Do(0, new() { Kind = AccessChangeKind.AddUser, Name = "ann", PasswordHash = "h1", Generation = 5 });
        Assert.Equal(5UL, View(0).User("ann")!.Generation);
        Do(0, new() { Kind = AccessChangeKind.SetPassword, Name = "ann", PasswordHash = "h2", Generation = 3 });
        Assert.Equal(6UL, View(0).User("ann")!.Generation);
        Do(0, new() { Kind = AccessChangeKind.RevokeTokens, Name = "ann", Generation = 9 });
        Assert.Equal(("h2", 9UL), (View(0).User("ann")!.PasswordHash, View(0).User("ann")!.Generation));
    }

    [Fact]
    public void The_key_that_signs_tokens_comes_with_the_first_enable_and_stays_until_it_is_changed()
    {
        byte[] first = [1, 2, 3], second = [4, 5, 6];
        Do(0, new() { Kind = AccessChangeKind.AddUser, Name = "root" });
        Assert.True(View(0).SigningKey.IsEmpty);
        Do(0, new() { Kind = AccessChangeKind.Enable, SigningKey = first });
        Do(0, new() { Kind = AccessChangeKind.Disable });
        Do(0, new() { Kind = AccessChangeKind.Enable, SigningKey = second });
        RunUntilAll(v => v.IsEnabled && v.SigningKey.Span.SequenceEqual(first));
        Do(0, new() { Kind = AccessChangeKind.RotateKey, SigningKey = second });
        RunUntilAll(v => v.SigningKey.Span.SequenceEqual(second));
    }

    [Fact]
    public void A_node_that_starts_lets_nobody_in_before_it_has_all_that_was_decided_before()
    {
        Do(0, new() { Kind = AccessChangeKind.AddUser, Name = "root", PasswordHash = "h" });
        Do(0, new() { Kind = AccessChangeKind.Enable });
        RunUntilAll(static v => v.IsEnabled && v.User("root") is not null);
        _cluster.Nodes[2].Running.Parts.Context.Engine.Flush();
        HarnessNode late = _cluster.Nodes[2];
        late.Crash(Henge.Testing.Files.CrashMode.LoseAllUnsynced);
        Do(0, new() { Kind = AccessChangeKind.AddUser, Name = "ann", PasswordHash = "h" });

        // Nobody tells it anything.
        _cluster.Network.Isolate(late.Id, _cluster.Nodes.Select(static n => n.Id));
        late.Start();
        _cluster.Run(5_000);
        AccessView view = late.Running.Access;
        Assert.True(view is { IsKnown: false, IsEnabled: true });
        Assert.Equal(ErrorCode.Unavailable, AccessCheck.Check(view, "root", HarnessOperation.Put("k", "v"))?.Code);

        // Whoever repairs a cluster that has lost its catalog is let in by what was known last.
        Assert.Null(AccessCheck.CheckAdmin(view, "root"));
        Assert.Null(AccessCheck.CheckKnown(view, "root"));
        Assert.Equal(ErrorCode.Unavailable, AccessCheck.CheckAdmin(view, null)?.Code);
        Assert.Equal(ErrorCode.Unavailable, AccessCheck.CheckKnown(view, "ann")?.Code);

        _cluster.Network.Heal();
        RunUntilAll(static v => v.IsKnown && v.User("ann") is not null);
    }

    [Fact]
    public void A_node_whose_users_were_not_on_its_disk_yet_lets_nobody_look_after_the_cluster_either()
    {
        Do(0, new() { Kind = AccessChangeKind.AddUser, Name = "root", PasswordHash = "h" });
        Do(0, new() { Kind = AccessChangeKind.Enable });
        RunUntilAll(static v => v is { IsKnown: true, IsEnabled: true });
        HarnessNode late = _cluster.Nodes[2];
        late.Crash(Henge.Testing.Files.CrashMode.LoseAllUnsynced);
        _cluster.Network.Isolate(late.Id, _cluster.Nodes.Select(static n => n.Id));
        late.Start();
        _cluster.Run(1_000);
        Assert.Null(late.Running.Access.User("root"));
        Assert.Equal(ErrorCode.Unavailable, AccessCheck.CheckAdmin(late.Running.Access, null)?.Code);
        Assert.Equal(ErrorCode.Unavailable, AccessCheck.CheckAdmin(late.Running.Access, "root")?.Code);
    }

    [Fact]
    public void A_change_is_answered_as_done_whatever_else_a_role_or_user_has()
    {
        AccessChange[] before =
        [
            new() { Kind = AccessChangeKind.AddUser, Name = "ann", PasswordHash = "h1" },
            new() { Kind = AccessChangeKind.AddRole, Name = "r" },
            new() { Kind = AccessChangeKind.AddRole, Name = "s" },
            new() { Kind = AccessChangeKind.Grant, Name = "r", Permissions = Permissions.Read, Range = KeyRange.Prefix("a/") },
            new() { Kind = AccessChangeKind.Grant, Name = "r", Permissions = (Permissions)3, Range = KeyRange.Prefix("b/") },
            new() { Kind = AccessChangeKind.Grant, Name = "r", Permissions = Permissions.Admin, Range = KeyRange.All },
            new() { Kind = AccessChangeKind.GrantRole, Name = "ann", Role = "r" },
            new() { Kind = AccessChangeKind.GrantRole, Name = "ann", Role = "s" },
        ];
        AccessChange[] changes =
        [
            new() { Kind = AccessChangeKind.Revoke, Name = "r", Permissions = Permissions.Read, Range = KeyRange.Prefix("a/") },
            new() { Kind = AccessChangeKind.Revoke, Name = "r", Permissions = Permissions.Read, Range = KeyRange.Prefix("b/") },
            new() { Kind = AccessChangeKind.Revoke, Name = "r", Permissions = Permissions.Admin, Range = KeyRange.All },
            new() { Kind = AccessChangeKind.RevokeRole, Name = "ann", Role = "r" },
            new() { Kind = AccessChangeKind.SetPassword, Name = "ann", PasswordHash = "h2", Generation = 3 },
            new() { Kind = AccessChangeKind.RevokeTokens, Name = "ann", Generation = 9 },
            new() { Kind = AccessChangeKind.DeleteRole, Name = "s" },
            new() { Kind = AccessChangeKind.DeleteUser, Name = "ann" },
        ];
        foreach (AccessChange change in (AccessChange[])[.. before, .. changes])
        {
            Do(0, change);
        }

        Assert.Equal([new Grant(Permissions.Write, KeyRange.Prefix("b/"))], View(0).Role("r")!.Grants);

        // What was never there is a mistake of whoever asks.
        Assert.Contains("no such grant", Ask(0, changes[0] with { Permissions = Permissions.Write })?.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Nodes_of_one_process_that_know_nothing_go_each_by_its_own_file()
    {
        Assert.False(AccessView.None.WhileNotKnown(false).WasEnabled);
        Assert.True(AccessView.None.WhileNotKnown(true).WasEnabled);
        Assert.False(AccessView.None.WhileNotKnown(false).WasEnabled);
    }

    /// <summary>
    /// A new node's first minutes under load: it has applied that access is checked, and has not been answered yet whether that is all.
    /// What looks after the cluster stood open to everybody then (found by the fuzz target guarded-thrift).
    /// </summary>
    [Fact]
    public void A_node_that_has_applied_that_access_is_checked_checks_it_before_it_knows_the_rest()
    {
        AccessView view = AccessView.Of(true, new Core.Version(3), [], []).WhileNotKnown(false);
        Assert.True(view.WasEnabled);
        Assert.NotNull(AccessCheck.CheckAdmin(view, null));
        Assert.NotNull(AccessCheck.CheckKnown(view, null));
        Assert.Null(AccessCheck.CheckAdmin(AccessView.None.WhileNotKnown(false), null));
    }

    [Fact]
    public void A_cluster_without_users_is_served_without_its_catalog_also_after_a_restart()
    {
        _cluster.RunUntil(() => Views().All(static v => v.IsKnown), what: "all know that there are no users");
        _cluster.Run(1_000);
        HarnessNode alone = _cluster.Nodes[1];
        alone.Crash(Henge.Testing.Files.CrashMode.LoseAllUnsynced);
        _cluster.Network.Isolate(alone.Id, _cluster.Nodes.Select(static n => n.Id));
        alone.Start();
        _cluster.Run(1_000);
        Assert.True(alone.Running.Access is { IsKnown: true, IsEnabled: false });
    }

    [Fact]
    public void A_node_that_is_alone_knows_who_may_do_what_after_a_restart_without_anything_new()
    {
        var cluster = new ClusterHarness(1);
        cluster.RunUntilLed();
        cluster.RunUntil(() => cluster.Nodes[0].Running.Access.IsKnown, what: "it is known at the first start");
        for (int i = 0; i < 3; i++)
        {
            cluster.Run(2_000);
            cluster.Nodes[0].Crash();
            cluster.Nodes[0].Start();
            cluster.RunUntil(() => cluster.Nodes[0].Running.Access.IsKnown, what: "it is known after a restart");
        }
    }

    private AccessView View(int node) => _cluster.Nodes[node].Running.Access;

    private IEnumerable<AccessView> Views() => _cluster.Running.Select(static n => n.Running.Access);

    private void RunUntilAll(Predicate<AccessView> holds) =>
        _cluster.RunUntil(() => Views().All(v => holds(v)), what: "all nodes have applied it");

    private HengeException? Ask(int node, AccessChange change)
    {
        (bool Ended, HengeException? Problem) came = default;
        HengeNode asked = _cluster.Nodes[node].Running;
        asked.ChangeAccess(change, asked.MonotonicMs + 10_000, problem => came = (true, problem));
        _cluster.RunUntil(() => came.Ended, 12_000, $"{change} was answered");
        return came.Problem;
    }

    private void Do(int node, AccessChange change) => Assert.Null(Ask(node, change)?.Message);

    private string Refused(AccessChange change)
    {
        Do(0, new() { Kind = AccessChangeKind.DeleteRole, Name = "r" });
        Do(0, new() { Kind = AccessChangeKind.AddRole, Name = "r" });
        HengeException? problem = Ask(0, change);
        Assert.Equal(ErrorCode.InvalidArgument, problem!.Code);
        return problem.Message;
    }
}

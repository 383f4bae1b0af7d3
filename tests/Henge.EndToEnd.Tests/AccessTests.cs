using Henge.Client;
using Henge.Core;
using Henge.EndToEnd.Tests.Harness;

namespace Henge.EndToEnd.Tests;

/// <summary>A cluster of processes that checks access, set up by the command line, with a node that is killed.</summary>
public sealed class AccessTests
{
    private const string Password = "correct horse battery";

    [Fact]
    public async Task Users_and_roles_hold_on_all_nodes_also_on_one_that_was_killed_meanwhile()
    {
        using CancellationTokenSource limit = Rounds.Limit(times: 2);
        await using ClusterProcesses cluster = new(4, limit.Token, replicas: 3);
        await cluster.StartAllAsync();
        using Operator shell = new(cluster, limit.Token);
        string secret = Path.Combine(cluster.DataDirectory(0), "..", "secret");
        await File.WriteAllTextAsync(secret, Password, limit.Token);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(secret, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        string[] asRoot = ["--user", "root", "--password-file", secret];
        await DoAsync("user", "add", "root", "--new-password-file", secret);
        await DoAsync("auth", "enable");
        await DoAsync(["role", "add", "orders", .. asRoot]);
        await DoAsync(["role", "grant", "orders", "--prefix", "order:", "read,write", .. asRoot]);
        await DoAsync(["role", "grant", "orders", "--prefix", "config:", "read", .. asRoot]);
        await DoAsync(["user", "add", "shop", "--new-password-file", secret, .. asRoot]);
        await DoAsync(["user", "grant", "shop", "orders", .. asRoot]);

        // Whatever node is asked, and wherever the key's shard is.
        foreach (int node in cluster.All)
        {
            await cluster.UntilAsync(
                $"{ClusterProcesses.NameOf(node)} knows the user",
                async () => await PutAsync(node, "order:0") is null);
            for (int i = 0; i < 8; i++)
            {
                Assert.Null(await PutAsync(node, $"order:{i}"));
                Assert.Equal(ErrorCode.PermissionDenied, await PutAsync(node, $"other:{i}"));
                Assert.Equal(ErrorCode.PermissionDenied, await PutAsync(node, $"config:{i}"));
                Assert.Equal(ErrorCode.Unauthenticated, await PutAsync(node, $"order:{i}", user: null));
                Assert.Equal(ErrorCode.Unauthenticated, await PutAsync(node, $"order:{i}", password: "wrong"));
            }
        }

        Assert.Equal(5, (await shell.RunAsync("get", "order:1")).ExitCode);
        string got = await shell.DoAsync("get", "order:1", "--user", "shop", "--password-file", secret);
        Assert.Contains("order:1", got, StringComparison.Ordinal);

        // What is taken away while a node is down does not stand again when it comes back, from its first answer on.
        cluster.Kill(2);
        await DoAsync(["role", "revoke", "orders", "--prefix", "order:", "write", .. asRoot]);
        cluster.Start(2);
        HashSet<ErrorCode?> answers = [];
        await cluster.UntilAsync("the node is back", async () =>
        {
            answers.Add(await PutAsync(2, "order:1"));
            return answers.Contains(ErrorCode.PermissionDenied) && await cluster.IsReadyAsync(2);
        });
        Assert.DoesNotContain(null, answers);
        foreach (int node in cluster.All)
        {
            await cluster.UntilAsync(
                $"{ClusterProcesses.NameOf(node)} lets nothing be written",
                async () => await PutAsync(node, "order:1") == ErrorCode.PermissionDenied);
            using HengeClient reader = Client(node, "shop", Password);
            Assert.Equal("order:1", (await reader.GetAsync("order:1", cancellationToken: limit.Token)).Text);
        }

        // A token ends with the user's new password.
        string token = (await shell.DoAsync("user", "token", "--user", "shop", "--password-file", secret)).Trim();
        using HengeClient bearer = cluster.Client(new HengeClientOptions { Token = token });
        Assert.Equal("order:1", (await bearer.GetAsync("order:1", cancellationToken: limit.Token)).Text);
        await DoAsync(["user", "delete", "shop", .. asRoot]);
        await cluster.UntilAsync("nobody believes the token", async () =>
        {
            try
            {
                await bearer.GetAsync("order:1", cancellationToken: limit.Token);
                return false;
            }
            catch (HengeException e) when (e.Code == ErrorCode.Unauthenticated)
            {
                return true;
            }
        });

        // While a machine is busy, leaders change; a change that is said again is done already.
        Task DoAsync(params string[] arguments) => cluster.UntilAsync($"'{string.Join(' ', arguments)}' is done", async () =>
        {
            (int exitCode, string printed) = await shell.RunAsync(arguments);
            Assert.True(exitCode is 0 or 3 or 4, printed);
            return exitCode == 0;
        });

        HengeClient Client(int node, string? user, string? password) => cluster.Client(
            new HengeClientOptions
            {
                User = user,
                Password = user is null ? null : password,
                RouteToLeaders = false,
                DefaultDeadline = TimeSpan.FromSeconds(5),
            },
            node);

        async Task<ErrorCode?> PutAsync(int node, string key, string? user = "shop", string? password = Password)
        {
            using HengeClient client = Client(node, user, password);
            try
            {
                await client.PutAsync(key, key, cancellationToken: limit.Token);
                return null;
            }
            catch (HengeException e)
            {
                return e.Code;
            }
        }
    }
}

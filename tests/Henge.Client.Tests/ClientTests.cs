using System.Text;
using Henge.Client.Settings;
using Henge.Client.Tests.Fakes;
using Henge.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Henge.Client.Tests;

public sealed class ClientTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task All_calls_work_against_a_node(bool sessions)
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(store.HandleAsync);
        await using HengeClient client = new(
            new HengeClientOptions
            {
                Peers = [node.Address],
                RouteToLeaders = false,
                UseSessions = sessions,
            });

        Assert.False((await client.GetAsync("a")).Found);
        PutResult first = await client.PutAsync("a", "1");
        PutResult second = await client.PutAsync("a", "2", new PutOptions { ReturnPrevious = true, TimeToLive = TimeSpan.FromMinutes(1) });
        Assert.True(second.Version > first.Version);
        Assert.Equal("1", second.Previous?.ValueText);
        GetResult now = await client.GetAsync("a");
        Assert.Equal(("2", second.Version), (now.Text, now.Version));
        Assert.InRange(now.TimeToLive!.Value, TimeSpan.FromTicks(1), TimeSpan.FromMinutes(1));
        Assert.Equal("1", (await client.GetAsync("a", new GetOptions { AtVersion = first.Version })).Text);

        PutResult refused = await client.PutAsync("a", "3", new PutOptions { IfVersion = first.Version });
        Assert.Equal((false, second.Version), (refused.Succeeded, refused.Version));
        Assert.True((await client.DeleteAsync("a", new DeleteOptions { IfVersion = first.Version })).ConditionFailed);
        Assert.True((await client.DeleteAsync("a")).Deleted);
        Assert.False((await client.DeleteAsync("a")).Deleted);

        List<HistoryEntry> history = [];
        await foreach (HistoryEntry entry in client.HistoryAsync("a"))
        {
            history.Add(entry);
        }

        Assert.Equal([true, false, false], history.Select(h => h.Deleted));
        Assert.Equal(["", "2", "1"], history.Select(h => h.ValueText));
    }

    [Fact]
    public async Task Binary_keys_and_values_go_through_unchanged()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(store.HandleAsync);
        await using HengeClient client = new(new HengeClientOptions { Peers = [node.Address] });
        byte[] key = [0, 255, 10, 13, 0];
        byte[] value = [.. Enumerable.Range(0, 100_000).Select(i => (byte)(i * 31))];

        await client.PutAsync(key, value);

        Assert.Equal(value, (await client.GetAsync(key)).Value.ToArray());
    }

    [Fact]
    public async Task A_scan_goes_through_all_pages_in_both_directions()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(store.HandleAsync);
        await using HengeClient client = new(new HengeClientOptions { Peers = [node.Address] });
        for (int i = 0; i < 10; i++)
        {
            await client.PutAsync($"k{i}", $"{i}");
        }

        await client.PutAsync("other", "x");
        ScanOptions all = new() { Range = KeyRange.Prefix("k") };

        Assert.Equal("0123456789", await JoinAsync(client, all));
        Assert.Equal("9876543210", await JoinAsync(client, all with { Reverse = true }));
        Assert.Equal("01234", await JoinAsync(client, all with { Limit = 5 }));
        Assert.Equal("01234", await JoinAsync(client, all with { Limit = 5, PageSize = 2 }));
        Assert.Equal("234", await JoinAsync(client, new ScanOptions { Range = KeyRange.Between("k2", "k5") }));
        Assert.Equal(10, await client.CountAsync(all));
        Assert.Equal(4, await client.CountAsync(all with { Limit = 4 }));
    }

    [Fact]
    public async Task A_scan_reads_one_cut_whatever_is_written_meanwhile()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(store.HandleAsync);
        await using HengeClient client = new(new HengeClientOptions { Peers = [node.Address] });
        for (int i = 0; i < 8; i++)
        {
            await client.PutAsync($"k{i}", "old");
        }

        List<string> values = [];
        await foreach (KeyValue pair in client.ScanAsync())
        {
            values.Add(pair.ValueText);
            await client.PutAsync("k7", "new");
            await client.PutAsync($"k9{values.Count}", "new");
        }

        Assert.Equal(Enumerable.Repeat("old", 8), values);
    }

    [Fact]
    public async Task A_transaction_does_the_one_list_or_the_other()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(store.HandleAsync);
        await using HengeClient client = new(new HengeClientOptions { Peers = [node.Address] });

        async Task<TransactionResult> LockAsync(string owner) => await client.Transaction()
            .When(Compare.NotExists("{job}:lock"))
            .Then(TransactionOperation.Put("{job}:lock", owner), TransactionOperation.Get("{job}:lock"))
            .Else(TransactionOperation.Get("{job}:lock"))
            .CommitAsync();
        TransactionResult first = await LockAsync("ann");
        TransactionResult second = await LockAsync("bob");

        Assert.True(first.Succeeded);
        Assert.True(first.Results[0].Put?.Succeeded);
        Assert.Equal("ann", first.Results[1].Get?.Text);
        Assert.False(second.Succeeded);
        Assert.Equal("ann", second.Results[0].Get?.Text);
        await Assert.ThrowsAsync<ArgumentException>(() => client.Transaction().CommitAsync());
    }

    [Fact]
    public async Task Many_callers_share_a_client()
    {
        await using RealStore store = await RealStore.StartAsync();
        await using FakeNode node = await FakeNode.StartAsync(store.HandleAsync);
        await using HengeClient client = new(new HengeClientOptions { Peers = [node.Address] });

        await Parallel.ForEachAsync(Enumerable.Range(0, 500), new ParallelOptions { MaxDegreeOfParallelism = 100 }, async (i, stop) =>
        {
            await client.PutAsync($"k{i}", $"v{i}", cancellationToken: stop);
            Assert.Equal($"v{i}", (await client.GetAsync($"k{i}", cancellationToken: stop)).Text);
        });

        for (int i = 0; i < 500; i++)
        {
            Assert.Equal(1, await store.WritesAsync($"k{i}"));
        }
    }

    [Fact]
    public async Task A_client_that_is_disposed_of_says_so()
    {
        HengeClient client = new("127.0.0.1:1");
        await client.DisposeAsync();

        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await client.GetAsync("a"));
    }

    [Fact]
    public void A_container_makes_one_client_with_the_options_given()
    {
        ServiceCollection services = new();
        services.AddHengeClient(o => o.Peers = ["10.0.0.1:7001"]);
        using ServiceProvider provider = services.BuildServiceProvider();

        Assert.Same(provider.GetRequiredService<HengeClient>(), provider.GetRequiredService<HengeClient>());
    }

    [Fact]
    public void A_setting_that_makes_no_sense_is_named()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            new HengeClient(new HengeClientOptions { MaxBackoff = TimeSpan.Zero }));
        Assert.Contains("MaxBackoff", error.Message, StringComparison.Ordinal);
        Assert.Contains("port", Assert.Throws<ArgumentException>(() => new HengeClient("host:99999")).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => new PutOptions { TimeToLive = TimeSpan.Zero });
        Assert.Throws<ArgumentOutOfRangeException>(() => new GetOptions { Deadline = TimeSpan.Zero });
    }

    [Theory]
    [InlineData("host", "host:7001")]
    [InlineData("host:1", "host:1")]
    [InlineData(" 10.0.0.1:7002 ", "10.0.0.1:7002")]
    [InlineData("::1", "[::1]:7001")]
    [InlineData("[::1]:7002", "[::1]:7002")]
    [InlineData("[::1]", "[::1]:7001")]
    public void Addresses_are_read_as_people_write_them(string text, string address) => Assert.Equal(address, PeerAddress.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData("host:")]
    [InlineData("host:0")]
    [InlineData("host:x")]
    [InlineData("a b:7001")]
    [InlineData("http://a:7001")]
    public void What_is_no_address_is_refused(string text) => Assert.Throws<ArgumentException>(() => PeerAddress.Parse(text));

    private static async Task<string> JoinAsync(HengeClient client, ScanOptions options)
    {
        StringBuilder values = new();
        await foreach (KeyValue pair in client.ScanAsync(options))
        {
            values.Append(pair.ValueText);
        }

        return values.ToString();
    }
}

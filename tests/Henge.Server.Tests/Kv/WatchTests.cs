using System.Buffers.Binary;
using Google.Protobuf;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Grpc;

namespace Henge.Server.Tests.Kv;

public sealed class WatchTests
{
    private const string Path = "/henge.v1.KVStore/Watch";

    private static ByteString B(string text) => ByteString.CopyFromUtf8(text);

    private static Task<PutResponse> PutAsync(RunningServer server, string key, string value) =>
        server.CallAsync<PutResponse>("/henge.v1.KVStore/Put", new PutRequest { Key = B(key), Value = B(value) });

    [Fact]
    public async Task Events_of_a_prefix_arrive_in_order_with_their_reason()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        await using OpenStream watch = await OpenStream.OpenAsync(
            server,
            Path,
            new WatchRequest { KeyPrefix = B("a"), PreviousValues = true });
        PutResponse first = await PutAsync(server, "a1", "1");
        await PutAsync(server, "b1", "1");
        PutResponse second = await PutAsync(server, "a1", "2");
        await server.CallAsync<DeleteResponse>("/henge.v1.KVStore/Delete", new DeleteRequest { Key = B("a1") });

        WatchEvent put = await watch.ReadAsync<WatchEvent>();
        Assert.Equal(
            ("a1", "1", "PUT", Protocol.V1.WatchReason.Put, first.Version),
            (put.Key.ToStringUtf8(), put.Value.ToStringUtf8(), put.EventType, put.Reason, put.Version));
        Assert.Null(put.Previous);
        WatchEvent again = await watch.ReadAsync<WatchEvent>();
        Assert.Equal(("2", second.Version), (again.Value.ToStringUtf8(), again.Version));
        Assert.Equal(new KeyValue { Key = B("a1"), Value = B("1"), Version = first.Version }, again.Previous);
        WatchEvent delete = await watch.ReadAsync<WatchEvent>();
        Assert.Equal(("DELETE", Protocol.V1.WatchReason.Delete), (delete.EventType, delete.Reason));
        Assert.False(delete.ResumeToken.IsEmpty);
    }

    [Fact]
    public async Task A_watch_from_a_past_version_begins_with_history_and_goes_on_live()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        PutResponse first = await PutAsync(server, "k", "0");
        for (int i = 1; i < 1500; i++)
        {
            await PutAsync(server, "k", $"{i}");
        }

        await using OpenStream watch = await OpenStream.OpenAsync(server, Path, new WatchRequest { StartVersion = first.Version });
        for (int i = 0; i < 1500; i++)
        {
            Assert.Equal($"{i}", (await watch.ReadAsync<WatchEvent>()).Value.ToStringUtf8());
        }

        await PutAsync(server, "k", "live");
        Assert.Equal("live", (await watch.ReadAsync<WatchEvent>()).Value.ToStringUtf8());
    }

    [Fact]
    public async Task A_watch_that_wants_progress_is_told_at_once_where_it_stands()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        WatchEvent mark;
        await using (OpenStream watch = await OpenStream.OpenAsync(server, Path, new WatchRequest { Progress = true }))
        {
            mark = await watch.ReadAsync<WatchEvent>();
            Assert.Equal(("PROGRESS", Protocol.V1.WatchReason.Progress), (mark.EventType, mark.Reason));
        }

        await PutAsync(server, "between", "1");
        await using OpenStream resumed = await OpenStream.OpenAsync(server, Path, new WatchRequest { ResumeToken = mark.ResumeToken });
        Assert.Equal("between", (await resumed.ReadAsync<WatchEvent>()).Key.ToStringUtf8());
    }

    [Fact]
    public async Task The_last_event_of_what_was_there_carries_the_token()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        PutResponse first = await PutAsync(server, "k", "0");
        for (int i = 1; i < 5; i++)
        {
            await PutAsync(server, "k", $"{i}");
        }

        await using OpenStream watch = await OpenStream.OpenAsync(server, Path, new WatchRequest { StartVersion = first.Version });
        for (int i = 0; i < 5; i++)
        {
            Assert.Equal(i == 4, !(await watch.ReadAsync<WatchEvent>()).ResumeToken.IsEmpty);
        }
    }

    [Fact]
    public async Task A_watch_that_fell_too_far_behind_says_so_and_ends()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        await using OpenStream watch = await OpenStream.OpenAsync(server, Path, new WatchRequest());
        server.Node.OldestVersion = new Core.Version(Core.Version.MaxValue);
        await PutAsync(server, "k", "v");
        CallResult end = await watch.EndAsync();
        Assert.Equal(GrpcStatusCode.OutOfRange, end.Status);
        Assert.Equal(((int)ErrorCode.HistoryGone).ToString(), end.HengeError);
        await GrpcRulesTests.Until(() => server.Node.OpenWatches == 0);
    }

    [Fact]
    public async Task A_watch_that_no_node_serves_ends_with_the_reason()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        server.Node.WatchOpens = static () => throw new HengeException(ErrorCode.Unavailable, "Nobody serves it.");
        CallResult refused = await server.CallAsync(Path, new WatchRequest());
        Assert.Equal(GrpcErrors.ToTrailer(ErrorCode.Unavailable), refused.HengeError);
        Assert.Equal(0, server.Node.OpenWatches);
    }

    [Fact]
    public async Task Watches_over_the_limit_are_refused()
    {
        await using RunningServer server = await RunningServer.StartAsync(new FakeNode { Limits = new NodeLimits { Watches = 1 } });
        await using OpenStream watch = await OpenStream.OpenAsync(server, Path, new WatchRequest());
        CallResult refused = await server.CallAsync(Path, new WatchRequest());
        Assert.Equal(GrpcStatusCode.ResourceExhausted, refused.Status);
        Assert.Equal(GrpcErrors.ToTrailer(ErrorCode.ResourceExhausted), refused.HengeError);
    }

    [Fact]
    public async Task A_watcher_that_takes_nothing_costs_bounded_memory_and_does_not_disturb_others()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        await using OpenStream slow = await OpenStream.OpenAsync(server, Path, new WatchRequest());
        await using OpenStream fast = await OpenStream.OpenAsync(server, Path, new WatchRequest());
        byte[] value = new byte[1 << 20];
        for (int i = 0; i < 40; i++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(value, i);
            await server.CallAsync<PutResponse>(
                "/henge.v1.KVStore/Put",
                new PutRequest { Key = B("k"), Value = ByteString.CopyFrom(value) });
            Assert.Equal(i, BinaryPrimitives.ReadInt32LittleEndian((await fast.ReadAsync<WatchEvent>()).Value.Span));
        }

        // It then gets everything, in order.
        for (int i = 0; i < 40; i++)
        {
            Assert.Equal(i, BinaryPrimitives.ReadInt32LittleEndian((await slow.ReadAsync<WatchEvent>()).Value.Span));
        }
    }

    [Fact]
    public async Task A_stream_whose_caller_stays_away_is_cut_after_its_time()
    {
        await using RunningServer server = await RunningServer.StartAsync(options: o =>
            o with
            {
                Grpc = o.Grpc with { StalledStreamTimeout = TimeSpan.FromMilliseconds(200) },
            });
        await using OpenStream slow = await OpenStream.OpenAsync(server, Path, new WatchRequest());
        for (int i = 0; i < 40; i++)
        {
            await server.CallAsync<PutResponse>(
                "/henge.v1.KVStore/Put",
                new PutRequest { Key = B("k"), Value = ByteString.CopyFrom(new byte[1 << 20]) });
        }

        await GrpcRulesTests.Until(() => server.Node.OpenWatches == 0);
        await PutAsync(server, "k", "the others go on");
    }
}

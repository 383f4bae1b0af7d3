using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Protocol.V1;
using Henge.Server.Hosting;
using Henge.Server.JsonLines;
using Henge.Server.Metrics;
using Henge.Server.Resp;
using Henge.Server.Rest;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Thrift;
using Henge.Server.Thrift;

namespace Henge.Server.Tests.Metrics;

public sealed class MetricsTests
{
    [Fact]
    public async Task Every_door_is_measured_and_the_text_is_what_Prometheus_reads()
    {
        FakeNode node = new();
        using ServerMetrics metrics = new();
        await using HengeServer server = new(
            node,
            new DoorOptions { Address = "127.0.0.1:0" },
            [new RespProtocol(node, metrics), new JsonLinesProtocol(node, metrics), .. ThriftProtocol.Both(node, metrics)],
            metrics: metrics);
        await server.StartAsync(TestContext.Current.CancellationToken);
        using HttpClient http = new() { BaseAddress = new Uri($"http://{server.EndPoint}") };
        using ByteArrayContent body = new("v"u8.ToArray());
        Assert.True((await http.PutAsync("/v1/kv/a", body, TestContext.Current.CancellationToken)).IsSuccessStatusCode);
        Assert.Equal(
            HttpStatusCode.NotFound,
            (await http.GetAsync("/nothing/here/at/all", TestContext.Current.CancellationToken)).StatusCode);
        await AskAsync(server.EndPoint, "SET a 1\r\nSET b 2\r\nGET a\r\nNOSUCH\r\nPING\r\n", "PONG");
        await AskAsync(server.EndPoint, "{\"Get\":{\"key\":\"a\"}}", "Ok");

        using (ThriftPeer thrift = await ThriftPeer.OpenAsync(server.EndPoint, ThriftEncoding.Compact))
        {
            await thrift.Calls.statusAsync();
            await Assert.ThrowsAsync<Henge.Thrift.Generated.InvalidArgument>(() => thrift.Calls.putAsync(new()));
        }

        PrometheusText text = await ReadAsync(http);

        Assert.Equal(1, text["http_server_request_duration_seconds_count{http_request_method=\"PUT\",http_route=\"/v1/kv/{key}\"}"]);
        Assert.Equal(1, text["http_server_request_duration_seconds_count{http_request_method=\"GET\",http_route=\"other\"}"]);
        Assert.Equal(2, text["henge_server_operation_duration_seconds_count{henge_door=\"resp\",henge_operation=\"set\"}"]);
        Assert.Equal(1, text["henge_server_operation_duration_seconds_count{henge_door=\"resp\",henge_operation=\"get\"}"]);
        Assert.Equal(1, text["henge_server_operation_duration_seconds_count{henge_door=\"json_lines\",henge_operation=\"request\"}"]);
        Assert.Equal(1, text["henge_server_operation_duration_seconds_count{henge_door=\"thrift\",henge_operation=\"status\"}"]);
        Assert.Equal(1, text["henge_server_operation_duration_seconds_count{henge_door=\"thrift\",henge_operation=\"put\"}"]);
        Assert.Equal(1, text["henge_server_errors_total{error_type=\"InvalidArgument\"}"]);
        Assert.Equal(1, text["henge_server_errors_total{error_type=\"resp\"}"]);
        Assert.Equal(4, text["henge_shards{henge_role=\"leader\"}"]);
        Assert.Equal(28, text["henge_raft_entries_committed_total"]);
        Assert.True(text["henge_server_connections"] >= 1);
        Assert.True(text.Samples.ContainsKey("henge_gc_pause_longest_seconds"));
        Assert.Equal("histogram", text.Types["henge_gc_pause_duration_seconds"]);

        // .NET's own instruments are beside ours.
        Assert.True(text["dotnet_process_memory_working_set_bytes"] > 1_000_000);
        Assert.Equal("gauge", text.Types["dotnet_thread_pool_queue_length"]);
        Assert.True(text.Samples.ContainsKey("dotnet_gc_pause_time_seconds_total"));
    }

    [Fact]
    public async Task Calls_by_gRPC_and_their_errors_are_measured_by_method()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        await server.CallAsync<PutResponse>(
            "/henge.v1.KVStore/Put",
            new PutRequest { Key = ByteString.CopyFromUtf8("a"), Value = ByteString.CopyFromUtf8("b") });
        await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", new GetRequest { Key = ByteString.CopyFromUtf8("a") });
        await server.CallAsync<GetResponse>("/henge.v1.KVStore/Get", new GetRequest { Key = ByteString.CopyFromUtf8("b") });
        await server.CallAsync("/henge.v1.KVStore/Get", new GetRequest());
        using HttpClient http = new() { BaseAddress = new Uri("http://" + server.Address) };

        PrometheusText text = await ReadAsync(http);

        Assert.Equal(1, text["rpc_server_call_duration_seconds_count{rpc_system_name=\"grpc\",rpc_method=\"henge.v1.KVStore/Put\"}"]);
        Assert.Equal(3, text["rpc_server_call_duration_seconds_count{rpc_system_name=\"grpc\",rpc_method=\"henge.v1.KVStore/Get\"}"]);
        Assert.Equal(1, text["henge_server_errors_total{error_type=\"InvalidArgument\"}"]);
        Assert.DoesNotContain(text.Samples.Keys, k => k.Contains("KVStore/Txn", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_a_node_knows_of_clocks_is_measured()
    {
        FakeNode node = new()
        {
            Clock = new Henge.Node.Api.ClockStatus
            {
                SkewMs = -2_500,
                IsOverruled = true,
                VersionLeadMs = 90_000,
                Peers = [new PeerClockStatus(new NodeId(2), 7_200_000, 1)],
            },
            Activity = new NodeActivity { AdvancesRefused = 3 },
        };
        using ServerMetrics metrics = new();
        await using HengeServer server = new(node, new DoorOptions { Address = "127.0.0.1:0" }, metrics: metrics);
        await server.StartAsync(TestContext.Current.CancellationToken);
        using HttpClient http = new() { BaseAddress = new Uri($"http://{server.EndPoint}") };

        PrometheusText text = await ReadAsync(http);

        Assert.Equal(-2.5, text["henge_clock_skew_seconds"]);
        Assert.Equal(1, text["henge_clock_overruled"]);
        Assert.Equal(90, text["henge_clock_version_lead_seconds"]);
        Assert.Equal(3, text["henge_clock_advances_refused_total"]);
        Assert.Equal(7_200, text["henge_clock_peer_offset_seconds{henge_peer=\"node2\"}"]);
    }

    [Fact]
    public Task A_real_node_counts_what_it_does() => RealNode.RunAsync(static async host =>
    {
        await AskAsync(host.Server.EndPoint, "SET a 1\r\nGET a\r\nPING\r\n", "PONG");
        using IWatch watch = host.Node.OpenWatch(new WatchQuery(), static () => { });
        using HttpClient http = new() { BaseAddress = new Uri($"http://{host.Server.EndPoint}") };

        PrometheusText text = await ReadAsync(http);

        Assert.True(text["henge_raft_elections_won_total"] >= 2);
        Assert.True(text["henge_raft_commands_proposed_total"] >= 1);
        Assert.True(text["henge_raft_entries_proposed_total"] >= 1);
        Assert.True(text["henge_raft_read_rounds_total"] >= 1);
        Assert.True(text["henge_log_syncs_total"] >= 1);
        Assert.True(text["henge_log_size_bytes"] > 0);
        Assert.Equal(1, text["henge_watches"]);
        Assert.Equal(0, text["henge_engine_write_pressure"]);
        Assert.Equal(0, text["henge_disk_full"]);
    });

    [Fact]
    public void Durations_fall_into_their_buckets_and_none_is_lost_among_threads()
    {
        DurationRecorder recorder = new(null);
        long ms = Stopwatch.Frequency / 1000;
        Parallel.For(0, 1000, _ =>
        {
            recorder.Record(0);
            recorder.Record(3 * ms, 5);
            recorder.Record(60_000 * ms);
            recorder.Record(-1);
        });

        long[] buckets = new long[DurationRecorder.BucketSeconds.Count + 1];
        Assert.True(recorder.TryRead(buckets, out long count, out double sum));
        Assert.Equal(8000, count);
        Assert.Equal(2000, buckets[0]);
        Assert.Equal(5000, buckets[5]);
        Assert.Equal(0.005, DurationRecorder.BucketSeconds[5]);
        Assert.Equal(1000, buckets[^1]);
        Assert.Equal(60_015, sum, 1.0);
    }

    [Fact]
    public void Recording_allocates_nothing()
    {
        using ServerMetrics metrics = new();
        DurationRecorder recorder = metrics.Operations("resp", "get");
        recorder.Record(1);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10_000; i++)
        {
            recorder.Record(i, 3);
            metrics.SessionOperations(Henge.Server.Operations.KvRequestKind.Get).Record(i);
        }

        // The session's recorder takes its counts' memory at its first record.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 8 * 1024);
    }

    [Fact]
    public void A_pause_by_the_garbage_collector_is_seen()
    {
        using ServerMetrics metrics = new();
        GC.Collect(2, GCCollectionMode.Forced, blocking: true);
        Assert.True(metrics.GcPauses.Longest > TimeSpan.Zero);
        long[] buckets = new long[DurationRecorder.BucketSeconds.Count + 1];
        Assert.True(metrics.GcPauses.Durations.TryRead(buckets, out _, out _));
    }

    [Theory]
    [InlineData("rpc.server.call.duration", "s", false, "rpc_server_call_duration_seconds")]
    [InlineData("henge.log.size", "By", false, "henge_log_size_bytes")]
    [InlineData("henge.log.syncs", "{sync}", true, "henge_log_syncs_total")]
    [InlineData("a.ratio", "1", false, "a_ratio")]
    [InlineData("a-b c", null, false, "a_b_c")]
    public void Names_are_mapped_as_the_specification_has_it(string name, string? unit, bool counter, string expected) =>
        Assert.Equal(expected, PrometheusExporter.Name(name, unit, counter));

    [Fact]
    public async Task Other_methods_than_GET_are_refused()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        using HttpClient http = new() { BaseAddress = new Uri("http://" + server.Address) };
        using HttpResponseMessage response = await http.PostAsync("/metrics", null, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
    }

    private static async Task<PrometheusText> ReadAsync(HttpClient http)
    {
        using HttpResponseMessage response = await http.GetAsync("/metrics", TestContext.Current.CancellationToken);
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType?.ToString());
        return PrometheusText.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private static async Task AskAsync(IPEndPoint address, string request, string expected)
    {
        using TcpClient client = new();
        await client.ConnectAsync(address);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.UTF8.GetBytes(request));
        client.Client.Shutdown(SocketShutdown.Send);
        using StreamReader reader = new(stream);
        Assert.Contains(expected, await reader.ReadToEndAsync());
    }
}

using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Google.Protobuf;
using Grpc.Core;
using Henge.Client.Errors;
using Henge.Client.Tests.Fakes;
using Henge.Client.Transport;
using Henge.Core;
using Henge.Protocol.Grpc;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests;

/// <summary>
/// What is read out of each way in which Grpc.Net.Client fails: whether nothing was done or nobody knows. A false "nothing was done" is a
/// lost promise; a false "unknown" a false alarm. All over real sockets, so that a new version of the library or of the platform cannot say
/// it in another way unseen.
/// </summary>
public sealed class CallFailureTests
{
    private const int InternalError = 2, RefusedStream = 7, Cancel = 8;
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    private static async Task<AttemptFailedException> PutAsync(HengeClientOptions options, TimeSpan? timeout = null)
    {
        using NodeTransport transport = new(options);
        Wire.PutRequest request = new() { Key = ByteString.CopyFromUtf8("k"), Value = ByteString.CopyFromUtf8("v") };
        return await Assert.ThrowsAsync<AttemptFailedException>(
            () => transport.UnaryAsync(NodeCalls.Put, options.Peers[0], request, timeout ?? Long, CancellationToken.None));
    }

    /// <summary>The same failure as a caller sees it, with no retry.</summary>
    private static async Task<HengeException> PutAsClientAsync(HengeClientOptions options, bool sessions)
    {
        options.UseSessions = sessions;
        options.RouteToLeaders = false;
        options.RetryBudget = 0;
        options.AttemptTimeout = options.DefaultDeadline = Long;
        await using HengeClient client = new(options);
        return await Assert.ThrowsAnyAsync<HengeException>(async () => await client.PutAsync("k", "v"));
    }

    private static HengeClientOptions To(string address, SslClientAuthenticationOptions? tls = null) =>
        new() { Peers = [address], Tls = tls };

    private static void AssertUnreachable(AttemptFailedException failure) =>
        Assert.Equal((ErrorCode.Unavailable, AttemptOutcome.NothingDone, true), (failure.Code, failure.Outcome, failure.ConnectionFailed));

    private static void AssertBroken(AttemptFailedException failure) =>
        Assert.Equal((ErrorCode.Unavailable, AttemptOutcome.Unknown, true), (failure.Code, failure.Outcome, failure.ConnectionFailed));

    private static string FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return listener.LocalEndpoint.ToString()!;
    }

    [Fact]
    public async Task A_connection_that_is_refused_means_that_nothing_was_done() => AssertUnreachable(await PutAsync(To(FreePort())));

    [Fact]
    public async Task A_name_that_stands_for_no_machine_means_that_nothing_was_done() =>
        Assert.Equal(AttemptOutcome.NothingDone, (await PutAsync(To("no-such-node.invalid:7001"))).Outcome);

    [Fact]
    public async Task A_certificate_that_is_not_trusted_means_that_nothing_was_done()
    {
        using X509Certificate2 certificate = TlsTests.SelfSigned();
        await using FakeNode node = await FakeNode.StartAsync(static call => call.HangAsync(), certificate: certificate);
        AssertUnreachable(await PutAsync(To(node.Address, new SslClientAuthenticationOptions())));
        Assert.Empty(node.Calls);
    }

    [Fact]
    public async Task A_handshake_that_breaks_off_means_that_nothing_was_done()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        Task accepting = Task.Run(async () =>
        {
            using TcpClient client = await listener.AcceptTcpClientAsync();
            await client.GetStream().ReadExactlyAsync(new byte[1]);
        });
        AssertUnreachable(await PutAsync(To(listener.LocalEndpoint.ToString()!, new SslClientAuthenticationOptions())));
        await accepting;
    }

    [Fact]
    public async Task A_connection_that_was_not_made_in_its_time_means_that_nothing_was_done()
    {
        // It takes connections, and never says a word of TLS on them.
        using TcpListener silent = new(IPAddress.Loopback, 0);
        silent.Start();
        HengeClientOptions options = To(silent.LocalEndpoint.ToString()!, new SslClientAuthenticationOptions());
        options.ConnectTimeout = TimeSpan.FromMilliseconds(50);
        AssertUnreachable(await PutAsync(options));
    }

    [Fact]
    public async Task A_deadline_that_passes_before_there_is_a_connection_means_that_nothing_was_done()
    {
        using TcpListener silent = new(IPAddress.Loopback, 0);
        silent.Start();
        AttemptFailedException failure = await PutAsync(
            To(silent.LocalEndpoint.ToString()!, new SslClientAuthenticationOptions()),
            timeout: TimeSpan.FromMilliseconds(50));
        Assert.Equal(
            (ErrorCode.DeadlineExceeded, AttemptOutcome.NothingDone, true),
            (failure.Code, failure.Outcome, failure.ConnectionFailed));
    }

    [Fact]
    public async Task A_deadline_that_passes_after_the_request_has_left_leaves_it_unknown()
    {
        await using RawHttp2Server server = new(static (_, _) => Task.CompletedTask);

        // As long as the machine may need to make a connection.
        TimeSpan timeout = TimeSpan.FromMilliseconds(200);
        AttemptFailedException failure;
        do
        {
            failure = await PutAsync(To(server.Address), timeout);
            Assert.Equal((ErrorCode.DeadlineExceeded, true), (failure.Code, failure.ConnectionFailed));
            timeout *= 2;
        }
        while (failure.Outcome == AttemptOutcome.NothingDone && server.Requests == 0);

        Assert.Equal(AttemptOutcome.Unknown, failure.Outcome);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_refused_stream_means_that_nothing_was_done(bool sessions)
    {
        await using RawHttp2Server server = new(static (connection, stream) => connection.ResetStreamAsync(stream, RefusedStream));
        AssertUnreachable(await PutAsync(To(server.Address)));
        Assert.IsType<UnavailableException>(await PutAsClientAsync(To(server.Address), sessions));
    }

    [Theory]
    [InlineData(InternalError, true)]
    [InlineData(InternalError, false)]
    [InlineData(Cancel, true)]
    [InlineData(Cancel, false)]
    public async Task A_stream_that_is_reset_with_a_request_on_it_leaves_it_unknown(int code, bool sessions)
    {
        await using RawHttp2Server server = new((connection, stream) => connection.ResetStreamAsync(stream, code));
        AssertBroken(await PutAsync(To(server.Address)));
        Assert.IsType<UnknownOutcomeException>(await PutAsClientAsync(To(server.Address), sessions));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_stream_that_is_reset_in_the_middle_of_its_answer_leaves_it_unknown(bool sessions)
    {
        await using RawHttp2Server server = new(static async (connection, stream) =>
        {
            await connection.WriteHeadAsync(stream);
            await connection.ResetStreamAsync(stream, InternalError);
        });
        AssertBroken(await PutAsync(To(server.Address)));
        Assert.IsType<UnknownOutcomeException>(await PutAsClientAsync(To(server.Address), sessions));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_connection_that_goes_away_after_it_has_looked_at_the_request_leaves_it_unknown(bool sessions)
    {
        await using RawHttp2Server server = new(static async (connection, stream) =>
        {
            await connection.GoAwayAsync(stream, InternalError);
            connection.Close();
        });
        AssertBroken(await PutAsync(To(server.Address)));
        Assert.IsType<UnknownOutcomeException>(await PutAsClientAsync(To(server.Address), sessions));
    }

    [Fact]
    public async Task A_session_on_a_connection_that_goes_away_before_it_has_looked_at_it_means_that_nothing_was_done()
    {
        await using RawHttp2Server server = new(static (connection, _) => connection.GoAwayAsync(0, 0));
        Assert.IsType<UnavailableException>(await PutAsClientAsync(To(server.Address), sessions: true));
    }

    [Fact]
    public async Task A_connection_that_goes_away_before_it_has_looked_at_the_request_is_not_called_done()
    {
        // The library tries it on other connections; what it says in the end does not tell it from one that was looked at, and unknown is
        // never false.
        await using RawHttp2Server server = new(static async (connection, _) =>
        {
            await connection.GoAwayAsync(0, 0);
            connection.Close();
        });
        AssertBroken(await PutAsync(To(server.Address)));
        Assert.True(server.Requests > 1, $"{server.Requests} requests");
    }

    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task A_connection_that_breaks_with_a_request_on_it_leaves_it_unknown(bool orderly, bool sessions)
    {
        await using RawHttp2Server server = new((connection, _) =>
        {
            if (orderly)
            {
                connection.Close();
            }
            else
            {
                connection.Reset();
            }

            return Task.CompletedTask;
        });
        AssertBroken(await PutAsync(To(server.Address)));
        Assert.IsType<UnknownOutcomeException>(await PutAsClientAsync(To(server.Address), sessions));
    }

    [Theory]
    [InlineData(ErrorCode.NotLeader, true)]
    [InlineData(ErrorCode.Unavailable, true)]
    [InlineData(ErrorCode.DeadlineExceeded, true)]
    [InlineData(ErrorCode.ResourceExhausted, true)]
    [InlineData(ErrorCode.UnknownOutcome, false)]
    [InlineData(ErrorCode.Internal, false)]
    public async Task A_node_says_exactly_what_it_leaves_behind(ErrorCode code, bool nothingDone)
    {
        await using FakeNode node = await FakeNode.StartAsync(call =>
        {
            call.Fail(code, "it says so: ü", "127.0.0.1:7009");
            return Task.CompletedTask;
        });
        AttemptFailedException failure = await PutAsync(To(node.Address));
        Assert.Equal((code, nothingDone, false), (failure.Code, failure.Outcome == AttemptOutcome.NothingDone, failure.ConnectionFailed));
        Assert.Equal(("it says so: ü", "127.0.0.1:7009"), (failure.Message, failure.LeaderHint));
    }

    [Theory]
    [InlineData(GrpcStatusCode.Unavailable, ErrorCode.Unavailable, false)]
    [InlineData(GrpcStatusCode.DeadlineExceeded, ErrorCode.DeadlineExceeded, false)]
    [InlineData(GrpcStatusCode.ResourceExhausted, ErrorCode.ResourceExhausted, false)]
    [InlineData(GrpcStatusCode.Unknown, ErrorCode.UnknownOutcome, false)]
    [InlineData(GrpcStatusCode.Unimplemented, ErrorCode.UnsupportedFormat, true)]
    public async Task A_status_that_is_not_from_Henge_decides_the_outcome_by_its_code(
        GrpcStatusCode status, ErrorCode code, bool nothingDone)
    {
        await using FakeNode node = await FakeNode.StartAsync(call =>
        {
            call.FailBare(status, "a proxy's word");
            return Task.CompletedTask;
        });
        AttemptFailedException failure = await PutAsync(To(node.Address));
        Assert.Equal((code, nothingDone), (failure.Code, failure.Outcome == AttemptOutcome.NothingDone));
    }

    [Theory]
    [InlineData(404, ErrorCode.UnsupportedFormat, true)]
    [InlineData(500, ErrorCode.Internal, false)]
    [InlineData(503, ErrorCode.Unavailable, false)]
    public async Task An_HTTP_status_says_what_it_can(int status, ErrorCode code, bool nothingDone)
    {
        await using FakeNode node = await FakeNode.StartAsync(call =>
        {
            call.Http.Response.StatusCode = status;
            call.EndWithoutStatus();
            return Task.CompletedTask;
        });
        AttemptFailedException failure = await PutAsync(To(node.Address));
        Assert.Equal((code, nothingDone), (failure.Code, failure.Outcome == AttemptOutcome.NothingDone));
    }

    [Theory]
    [InlineData("too long", ErrorCode.TooLarge)]
    [InlineData("not protobuf", ErrorCode.Internal)]
    [InlineData("packed", ErrorCode.Internal)]
    [InlineData("cut short", ErrorCode.Internal)]
    public async Task An_answer_that_cannot_be_read_leaves_the_write_unknown_and_the_connection_well(string kind, ErrorCode code)
    {
        await using FakeNode node = await FakeNode.StartAsync(async call =>
        {
            if (kind == "packed")
            {
                call.Http.Response.Headers[GrpcHeaders.Encoding] = "deflate";
            }

            await call.WriteRawAsync(kind switch
            {
                "too long" => [0, 0x7F, 0xFF, 0xFF, 0xFF],
                "packed" => [1, 0, 0, 0, 1, 9],
                "cut short" => [0, 0, 0, 0, 9, 1],
                _ => [0, 0, 0, 0, 3, 0xFF, 0xFF, 0xFF],
            });
        });
        AttemptFailedException failure = await PutAsync(To(node.Address));
        Assert.Equal((code, AttemptOutcome.Unknown, false), (failure.Code, failure.Outcome, failure.ConnectionFailed));
    }

    [Fact]
    public void A_connection_that_breaks_before_it_is_used_means_that_nothing_was_done() =>
        AssertUnreachable(
            CallFailure.From(
                new RpcException(
                    new Status(StatusCode.Unavailable, "Error starting gRPC call.", new SocketException((int)SocketError.NotConnected))),
                "127.0.0.1:1"));

    [Fact]
    public async Task A_caller_that_gives_up_gets_its_own_cancellation()
    {
        await using FakeNode node = await FakeNode.StartAsync(static call => call.HangAsync());
        using NodeTransport transport = new(To(node.Address));
        using CancellationTokenSource caller = new();
        Task<Wire.PutResponse> put = transport.UnaryAsync(NodeCalls.Put, node.Address, new Wire.PutRequest(), Long, caller.Token);
        await caller.CancelAsync();
        Assert.Equal(caller.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => put)).CancellationToken);
    }

    [Fact]
    public async Task A_transport_that_is_disposed_of_leaves_what_was_sent_unknown_and_sends_nothing_more()
    {
        TaskCompletionSource arrived = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using FakeNode node = await FakeNode.StartAsync(call =>
        {
            arrived.TrySetResult();
            return call.HangAsync();
        });
        NodeTransport transport = new(To(node.Address));
        Task<Wire.PutResponse> put = transport.UnaryAsync(NodeCalls.Put, node.Address, new Wire.PutRequest(), Long, CancellationToken.None);
        await arrived.Task;
        transport.Dispose();
        Assert.Equal(AttemptOutcome.Unknown, (await Assert.ThrowsAsync<AttemptFailedException>(() => put)).Outcome);
        Assert.Equal(
            AttemptOutcome.NothingDone,
            (await Assert.ThrowsAsync<AttemptFailedException>(
                () => transport.UnaryAsync(NodeCalls.Put, node.Address, new Wire.PutRequest(), Long, CancellationToken.None))).Outcome);
    }
}

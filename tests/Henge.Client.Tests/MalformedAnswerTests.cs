using Henge.Client.Retry;
using Henge.Client.Tests.Fakes;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests;

/// <summary>Whatever a node answers, the client ends with a clear error, and a write never with a false "nothing was done".</summary>
public sealed class MalformedAnswerTests
{
    public static TheoryData<string> Kinds =>
        ["no status", "no message", "two messages", "cut short", "not protobuf", "bad flag", "too long", "bad status", "http 500", "html"];

    private static async Task AnswerAsync(FakeCall call, string kind)
    {
        await call.ReadAsync(Wire.PutRequest.Parser);
        switch (kind)
        {
            case "no status":
                await call.WriteAsync(new Wire.PutResponse { Success = true, Version = 1 });
                call.EndWithoutStatus();
                break;
            case "no message":
                break;
            case "two messages":
                await call.WriteAsync(new Wire.PutResponse { Success = true, Version = 1 });
                await call.WriteAsync(new Wire.PutResponse { Success = true, Version = 2 });
                break;
            case "cut short":
                await call.WriteRawAsync([0, 0, 0, 0, 9, 1]);
                break;
            case "not protobuf":
                await call.WriteRawAsync([0, 0, 0, 0, 3, 0xFF, 0xFF, 0xFF]);
                break;
            case "bad flag":
                await call.WriteRawAsync([7, 0, 0, 0, 0]);
                break;
            case "too long":
                await call.WriteRawAsync([0, 0x7F, 0xFF, 0xFF, 0xFF]);
                break;
            case "bad status":
                call.Http.Response.Headers["grpc-status"] = "fine";
                call.EndWithoutStatus();
                break;
            case "http 500":
                call.Http.Response.StatusCode = 500;
                call.EndWithoutStatus();
                break;
            case "html":
                call.Http.Response.ContentType = "text/html";
                await call.WriteRawAsync("<html>"u8.ToArray());
                call.EndWithoutStatus();
                break;
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_malformed_answer_to_a_read_is_a_clear_error(string kind)
    {
        await using FakeNode node = await FakeNode.StartAsync(call => AnswerAsync(call, kind));
        using HengeClient client = Client(node);

        HengeException error = await Assert.ThrowsAnyAsync<HengeException>(async () => await client.GetAsync("a"));

        Assert.Contains(node.Address, error.Message, StringComparison.Ordinal);
        Assert.True(error.Code is ErrorCode.Internal or ErrorCode.TooLarge, error.Code.ToString());
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task A_malformed_answer_to_a_write_leaves_it_unknown(string kind)
    {
        await using FakeNode node = await FakeNode.StartAsync(call => AnswerAsync(call, kind));
        using HengeClient client = Client(node);

        await Assert.ThrowsAsync<UnknownOutcomeException>(async () => await client.PutAsync("a", "1"));
    }

    private static HengeClient Client(FakeNode node) => new(new HengeClientOptions
    {
        Peers = [node.Address],
        RouteToLeaders = false,
        UseSessions = false,
        RetryBudget = 0,
    });
}

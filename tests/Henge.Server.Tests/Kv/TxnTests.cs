using Google.Protobuf;
using Henge.Core;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Kv;

public sealed class TxnTests
{
    private const string Path = "/henge.v1.KVStore/Txn";

    private static ByteString B(string text) => ByteString.CopyFromUtf8(text);

    private static TxnOperation Put(string key, string value) =>
        new()
        {
            Put = new PutRequest
            {
                Key = B(key),
                Value = B(value),
                ReturnPrevious = true,
            },
        };

    private static TxnOperation Get(string key) => new() { Get = new GetRequest { Key = B(key) } };

    [Fact]
    public async Task The_branch_that_the_comparisons_choose_is_done()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        TxnRequest request = new()
        {
            Compare = { new Compare { Key = B("{a}1"), Exists = false } },
            Then = { Put("{a}1", "x"), Get("{a}1"), new TxnOperation { Delete = new DeleteRequest { Key = B("{a}2") } } },
            Otherwise = { Get("{a}1") },
        };
        TxnResponse first = await server.CallAsync<TxnResponse>(Path, request);
        Assert.True(first.Succeeded);
        Assert.Equal(3, first.Results.Count);
        Assert.True(first.Results[0].Put.Success);
        Assert.Null(first.Results[0].Put.Previous);
        Assert.Equal(B("x"), first.Results[1].Get.Value);
        Assert.Equal(first.Version, first.Results[1].Get.Version);
        Assert.False(first.Results[2].Delete.Success);

        TxnResponse second = await server.CallAsync<TxnResponse>(Path, request);
        Assert.False(second.Succeeded);
        Assert.Equal(B("x"), Assert.Single(second.Results).Get.Value);
    }

    [Theory]
    [InlineData(Compare.Types.Relation.Equal, "5", true)]
    [InlineData(Compare.Types.Relation.NotEqual, "5", false)]
    [InlineData(Compare.Types.Relation.Less, "6", true)]
    [InlineData(Compare.Types.Relation.Greater, "6", false)]
    public async Task Values_are_compared_bytewise(Compare.Types.Relation relation, string with, bool expected)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        await server.CallAsync<PutResponse>("/henge.v1.KVStore/Put", new PutRequest { Key = B("k"), Value = B("5") });
        TxnResponse response = await server.CallAsync<TxnResponse>(
            Path,
            new TxnRequest
            {
                Compare =
                {
                    new Compare
                    {
                        Key = B("k"),
                        Relation = relation,
                        Value = B(with),
                    },
                },
            });
        Assert.Equal(expected, response.Succeeded);
    }

    [Fact]
    public async Task Keys_of_several_shards_are_refused_with_the_way_out()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        CallResult result = await server.CallAsync(
            Path,
            new TxnRequest { Then = { Enumerable.Range(0, 20).Select(i => Put($"k{i}", "v")) } });
        Assert.Equal(GrpcStatusCode.InvalidArgument, result.Status);
        Assert.Equal(((int)ErrorCode.CrossShard).ToString(), result.HengeError);
        Assert.Contains("braces", result.Message);
    }

    [Fact]
    public async Task A_part_whose_condition_fails_says_so_in_its_own_result()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        await server.CallAsync<PutResponse>("/henge.v1.KVStore/Put", new PutRequest { Key = B("{k}"), Value = B("5") });
        TxnResponse response = await server.CallAsync<TxnResponse>(
            Path,
            new TxnRequest
            {
                Then =
                {
                    new TxnOperation
                    {
                        Put = new PutRequest
                        {
                            Key = B("{k}"),
                            Value = B("6"),
                            IfVersion = 0,
                            ReturnPrevious = true,
                        },
                    },
                    Put("{k}2", "7"),
                },
            });
        Assert.True(response.Succeeded);
        Assert.False(response.Results[0].Put.Success);
        Assert.Equal(B("5"), response.Results[0].Put.Previous.Value);
        Assert.True(response.Results[1].Put.Success);
    }
}

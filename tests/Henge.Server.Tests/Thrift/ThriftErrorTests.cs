using System.Reflection;
using System.Text;
using Henge.Server.Tests.Fakes;
using Henge.Server.Thrift;
using Henge.Thrift.Generated;
using Thrift;
using Core = Henge.Core;

namespace Henge.Server.Tests.Thrift;

/// <summary>Each error of each call, as an exception of its own.</summary>
public sealed class ThriftErrorTests
{
    private static readonly byte[] Key = "k"u8.ToArray();

    private static readonly Dictionary<string, Func<KVStore.Client, Task>> OfKeys = new()
    {
        ["get"] = static c => c.getAsync(new GetRequest { Key = Key, LeaderOnly = true }),
        ["put"] = static c => c.putAsync(new PutRequest { Key = Key, Value = [] }),
        ["remove"] = static c => c.removeAsync(new DeleteRequest { Key = Key }),
        ["scan"] = static c => c.scanAsync(new ScanRequest()),
        ["multiGet"] = static c => c.multiGetAsync(new MultiGetRequest { Keys = [Key] }),
        ["txn"] = static c => c.txnAsync(new TxnRequest { Success = [new TxnOperation { Get = new GetRequest { Key = Key } }] }),
    };

    public static TheoryData<ThriftEncoding, string> Calls =>
        [.. OfKeys.Keys.SelectMany(static name => Enum.GetValues<ThriftEncoding>().Select(e => (e, name)))];

    public static TheoryData<string> Methods => [.. ThriftMethod.All.Keys.Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Calls))]
    public async Task Each_error_of_the_node_is_an_exception_of_its_own(ThriftEncoding encoding, string call)
    {
        FakeNode node = new();
        await using RunningServer server = await RunningServer.StartAsync(node, protocols: ThriftProtocol.Both(node));
        using ThriftPeer peer = await ThriftPeer.OpenAsync(server.Server.EndPoint, encoding);
        foreach (Core.ErrorCode code in Enum.GetValues<Core.ErrorCode>().Where(static c => c != Core.ErrorCode.None))
        {
            node.Intercept = operation =>
            {
                operation.LeaderTerm = new Core.Term(5);
                operation.Fail(code, $"it is {code}", "127.0.0.1:9");
                return true;
            };
            TException error = await Assert.ThrowsAnyAsync<TException>(() => OfKeys[call](peer.Calls));
            bool isDeclared = ThriftMethod.All[call].Errors.Contains(code) && code != Core.ErrorCode.Internal;
            Assert.Equal(isDeclared ? code.ToString() : nameof(InternalError), error.GetType().Name);
            Assert.Equal(((int)code, $"it is {code}"), (CodeOf(error), MessageOf(error)));
            if (error is NotLeader known)
            {
                Assert.Equal(("127.0.0.1:9", 5L), (known.LeaderHint, known.LeaderTerm));
            }
        }

        // And the connection goes on.
        node.Intercept = null;
        Assert.False((await peer.Calls.getAsync(new GetRequest { Key = Key })).Found);
    }

    [Theory]
    [MemberData(nameof(Methods))]
    public void What_is_in_the_table_of_calls_is_what_the_service_declares(string method)
    {
        Type result = typeof(KVStore.InternalStructs).GetNestedType(method + "_result")!;
        string[] declared =
        [
            .. result.GetProperties()
                .Where(static p => typeof(TException).IsAssignableFrom(p.PropertyType))
                .Select(static p => p.PropertyType.Name == nameof(InternalError) ? nameof(Core.ErrorCode.Internal) : p.PropertyType.Name),
        ];
        Assert.Equal(
            ThriftMethod.All[method].Errors.Select(static e => e.ToString()).Order(StringComparer.Ordinal),
            declared.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_call_of_the_service_is_in_the_table_and_no_other()
    {
        IEnumerable<string> calls = typeof(KVStore.IAsync).GetMethods().Select(static m => m.Name[..^"Async".Length]);
        Assert.Equal(calls.Order(StringComparer.Ordinal), ThriftMethod.All.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Error_codes_have_the_same_names_and_numbers_as_everywhere()
    {
        Dictionary<int, string> codes = Enum.GetValues<Core.ErrorCode>()
            .Where(static c => c != Core.ErrorCode.None)
            .ToDictionary(static c => (int)c, static c => c.ToString().ToUpperInvariant());
        Dictionary<int, string> wire = Enum.GetValues<ErrorCode>()
            .ToDictionary(static c => (int)c, static c => c.ToString().Replace("_", "", StringComparison.Ordinal));
        Assert.Equal(codes, wire);
    }

    [Fact]
    public async Task What_is_a_bug_is_answered_and_ends_the_connection()
    {
        FakeNode node = new() { Intercept = static _ => throw new InvalidOperationException("planted") };
        await using RunningServer server = await RunningServer.StartAsync(node, protocols: ThriftProtocol.Both(node));
        using ThriftPeer peer = await ThriftPeer.OpenAsync(server.Server.EndPoint, ThriftEncoding.Binary);
        InternalError error = await Assert.ThrowsAsync<InternalError>(() => peer.Calls.getAsync(new GetRequest { Key = Key }));
        Assert.DoesNotContain("planted", error.Message, StringComparison.Ordinal);
        Assert.Null(await peer.HearAsync());
        node.Intercept = null;
        using ThriftPeer other = await ThriftPeer.OpenAsync(server.Server.EndPoint, ThriftEncoding.Binary);
        Assert.False((await other.Calls.getAsync(new GetRequest { Key = Key })).Found);
    }

    [Theory]
    [InlineData(ThriftEncoding.Binary)]
    [InlineData(ThriftEncoding.Compact)]
    public async Task What_is_over_a_limit_is_refused(ThriftEncoding encoding)
    {
        FakeNode node = new() { Limits = new Node.Api.NodeLimits { KeyBytes = 10, ValueBytes = 100, TxnOperations = 4 } };
        await using RunningServer server = await RunningServer.StartAsync(node, protocols: ThriftProtocol.Both(node));
        using ThriftPeer peer = await ThriftPeer.OpenAsync(server.Server.EndPoint, encoding);
        await Assert.ThrowsAsync<TooLarge>(() => peer.Calls.getAsync(new GetRequest { Key = new byte[11] }));
        await Assert.ThrowsAsync<TooLarge>(() => peer.Calls.putAsync(new PutRequest { Key = Key, Value = new byte[101] }));
        await Assert.ThrowsAsync<TooLarge>(() => peer.Calls.scanAsync(new ScanRequest { Prefix = new byte[11] }));
        TxnOperation get = new() { Get = new GetRequest { Key = Key } };
        await Assert.ThrowsAsync<TooLarge>(() => peer.Calls.txnAsync(new TxnRequest { Success = [get, get, get], Failure = [get, get] }));
        node.OldestVersion = Core.Version.Max;
        await Assert.ThrowsAsync<HistoryGone>(() => peer.Calls.getAsync(new GetRequest { Key = Key, Version = 1 }));
        HistoryGone gone = await Assert.ThrowsAsync<HistoryGone>(
            () => peer.Calls.getAsync(new GetRequest { Key = Key, AtUnixMs = 1 }));
        Assert.Contains("before 2025", gone.Message, StringComparison.Ordinal);
    }

    private static int CodeOf(TException error) => (int)(ErrorCode)Of(error, "Code")!;

    private static string MessageOf(TException error) => (string)Of(error, "Message")!;

    private static object? Of(TException error, string name) =>
        error.GetType().GetProperty(name, BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)!.GetValue(error);
}

using System.Text;
using Google.Protobuf;
using Henge.Fuzz.Guarded;
using Henge.Protocol.V1;
using Henge.Server.Hosting;

namespace Henge.Fuzz.Targets;

/// <summary>
/// What somebody without valid credentials says to the port of a node that checks access, by each of its protocols: whatever it is, it
/// reads nothing and changes nothing (<see cref="GuardedPort"/>).
/// </summary>
internal static class GuardedTargets
{
    private static readonly Lazy<GuardedPort> Port = new(static () => new GuardedPort());

    // By their names, so that a byte of a kept input means the same for as long as none is added before it.
    private static readonly string[] Methods =
    [
        .. ServedServices.Descriptors.SelectMany(static s => s.Methods.Select(m => $"/{s.FullName}/{m.Name}"))
            .Order(StringComparer.Ordinal),
    ];

    private static readonly string?[] Credentials =
    [
        null, "Basic cm9vdDo=", "Basic cm9vdDp3cm9uZw==", "Bearer", "Bearer a.b.c", "Basic",
        "bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJyb290In0.",
    ];

    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        Of("guarded-resp", static input => RunResp(Port.Value, input), RespSeeds),
        Of("guarded-json", static input => RunJson(Port.Value, input), JsonSeeds),
        Of("guarded-http", static input => RunHttp(Port.Value, input), HttpSeeds),
        Of("guarded-grpc", static input => RunGrpc(Port.Value, input), GrpcSeeds),
        Of("guarded-peer", static input => Port.Value.Serve([.. "HGP\x03"u8, .. input]), PeerSeeds),
        Of("guarded-thrift", static input => ThriftTargets.RunGuarded(Port.Value, input), ThriftTargets.GuardedSeeds),
        Of("guarded-port", static input => Port.Value.Serve(input), static () =>
            [.. RespSeeds().Take(2), .. JsonSeeds().Take(2), .. HttpSeeds().Take(2), Http2Bytes.Call(Methods[0], null, []),
                .. ThriftTargets.GuardedSeeds().Take(2).Select(static s => s[1..])]),
    ];

    public static IEnumerable<byte[]> HttpSeeds() => DoorTargets.Texts(
        Request("GET /v1/kv/secret%2F1"), Request("GET /v1/kv?prefix=sec&limit=5"), Request("GET /v1/kv?count"),
        Request("GET /v1/kv/secret%2F1?history"), Request("PUT /v1/kv/a?ttl=5m", "Content-Length: 1\r\n", "x"),
        Request("DELETE /v1/kv/secret%2F1", "If-Match: *\r\n"), Request("GET /v1/watch?prefix=s", "Last-Event-ID: 1\r\n"),
        Request("GET /metrics", "Authorization: Basic cm9vdDp3cm9uZw==\r\n"), Request("GET /healthz"), Request("GET /openapi/v1.json"),
        Request("GET /v1/kv/a", "Authorization: Bearer a.b.c\r\n"),
        Request("PUT /v1/kv/a", "Transfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\n\r\n"));

    public static void RunHttp(GuardedPort port, ReadOnlySpan<byte> input) => port.Serve(input);

    private static FuzzTarget Of(string name, FuzzAction run, Func<IEnumerable<byte[]>> seeds) =>
        new(name, run, seeds) { AllocatedAlways = 16 * 1024 * 1024, AllocatedPerByte = 4096, LongestInput = 2048 };

    private static string Request(string line, string headers = "", string body = "") =>
        $"{line} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n{body}";

    private static void RunResp(GuardedPort port, ReadOnlySpan<byte> input)
    {
        // Always RESP, whatever the first bytes have become.
        byte[] reply = port.Serve([.. "*1\r\n$4\r\nPING\r\n"u8, .. input]);
        FuzzCheck.That(reply.AsSpan().StartsWith("-NOAUTH "u8), "a command was done that takes a login");
        FuzzCheck.That(reply.AsSpan().IndexOf("+PONG"u8) < 0, "a command was done that takes a login");
    }

    private static IEnumerable<byte[]> RespSeeds() => DoorTargets.Texts(
        "*2\r\n$3\r\nGET\r\n$8\r\nsecret/1\r\n", "AUTH root wrong\r\nGET secret/1\r\n", "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n",
        "HELLO 3 AUTH root wrong\r\nGET secret/1\r\n",
        "MULTI\r\nGET secret/1\r\nEXEC\r\n", "SUBSCRIBE secret/1\r\nPUBLISH secret/1 x\r\n",
        "SCAN 0\r\nKEYS *\r\nDBSIZE\r\nFLUSHALL\r\n",
        "ACL WHOAMI\r\nACL LIST\r\nACL SETUSER eve on >x ~* +@all\r\n", "RESET\r\nGET secret/1\r\n",
        "EVAL \"return redis.call('get','secret/1')\" 0\r\n", "CLIENT LIST\r\nCONFIG GET *\r\nINFO\r\n", "AUTH a.b.c\r\nDUMP secret/1\r\n");

    private static void RunJson(GuardedPort port, ReadOnlySpan<byte> input)
    {
        byte[] reply = port.Serve([.. "{"u8, .. input]);
        FuzzCheck.That(reply.AsSpan().IndexOf("{\"Ok\""u8) < 0, "a request was done that takes a login");
    }

    // Behind the first bracket.
    private static IEnumerable<byte[]> JsonSeeds() => DoorTargets.Texts(
        "\"Get\":{\"key\":\"secret/1\"}}", "\"Set\":{\"key\":\"a\",\"value\":\"b\"}}", "\"Remove\":{\"key\":\"secret/1\"}}",
        "\"Auth\":{\"user\":\"root\",\"password\":\"wrong\"}}\n{\"Get\":{\"key\":\"secret/1\"}}", "\"Auth\":{\"token\":\"a.b.c\"}}{\"Get\":{\"key\":\"a\"}}");

    // The method, the credentials, the message.
    private static void RunGrpc(GuardedPort port, ReadOnlySpan<byte> input)
    {
        if (input.Length >= 2)
        {
            port.Serve(Http2Bytes.Call(Methods[input[0] % Methods.Length], Credentials[input[1] % Credentials.Length], input[2..]));
        }
    }

    private static IEnumerable<byte[]> GrpcSeeds()
    {
        var key = ByteString.CopyFromUtf8("secret/1");
        (string Method, IMessage Message)[] calls =
        [
            ("KVStore/Get", new GetRequest { Key = key }),
            ("KVStore/Put", new PutRequest { Key = key, Value = key }),
            ("KVStore/Delete", new DeleteRequest { Key = key }),
            ("KVStore/Scan", new ScanRequest()),
            ("KVStore/Watch", new WatchRequest { KeyPrefix = key }),
            ("Cluster/Topology", new TopologyRequest()),
            ("Cluster/Change", new ChangeRequest { Kind = ChangeRequest.Types.Kind.Rebalance }),
            ("Cluster/Recover", new RecoverRequest()),
            ("Access/Read", new AccessReadRequest()),
            ("Access/Change", new AccessChangeRequest { Kind = AccessChangeRequest.Types.Kind.Disable }),
            ("Access/CreateToken", new CreateTokenRequest { User = "root" }),
        ];
        return calls.Select((call, i) => (byte[])
        [
            (byte)Array.FindIndex(Methods, m => m.EndsWith("." + call.Method, StringComparison.Ordinal)),
            (byte)(i % Credentials.Length),
            .. call.Message.ToByteArray(),
        ]);
    }

    private static IEnumerable<byte[]> PeerSeeds() => PeerTargets.All.Single(static t => t.Name == "peer-frame").Seeds()
        .Select(static frame => frame[4..]);
}

using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Grpc.Core;
using Grpc.Net.Client;
using Henge.Node.Context;
using Henge.Protocol.V1;
using Henge.Server.Audit;
using Henge.Server.Hosting;
using Henge.Server.Tests.Grpc;
using Wire = Henge.Protocol.V1;

namespace Henge.Server.Tests.Access;

/// <summary>
/// A whole node that checks access, with its doors: <c>root</c>, who may do everything, <c>ann</c>, who may read, write and watch keys that
/// begin with <c>a/</c>, and <c>bob</c>, who may only read them.
/// </summary>
internal sealed class GuardedHost : IAsyncDisposable
{
    public const string Password = "correct horse";

    private readonly string _directory;
    private readonly GrpcChannel _channel;

    private GuardedHost(HengeHost host, string directory)
    {
        _directory = directory;
        Host = host;
        Address = host.Server.EndPoint.ToString();
        _channel = GrpcChannel.ForAddress("http://" + Address);
        Keys = new KVStore.KVStoreClient(_channel);
        Cluster = new Wire.Cluster.ClusterClient(_channel);
        Access = new Wire.Access.AccessClient(_channel);
        Http = new HttpClient { BaseAddress = new Uri("http://" + Address) };
    }

    public HengeHost Host { get; }

    public string Address { get; }

    public KVStore.KVStoreClient Keys { get; }

    public Wire.Cluster.ClusterClient Cluster { get; }

    public Wire.Access.AccessClient Access { get; }

    public HttpClient Http { get; }

    public static Metadata As(string user, string password = Password) =>
        new() { { "authorization", "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{password}")) } };

    public static Metadata Bearer(string token) => new() { { "authorization", "Bearer " + token } };

    public static async Task<GuardedHost> StartAsync(
        Func<DoorOptions, DoorOptions>? door = null,
        bool enable = true,
        AuditOptions? audit = null)
    {
        DoorOptions doors = new() { Address = "127.0.0.1:0" };
        string directory = Directory.CreateTempSubdirectory("henge-access").FullName;
        HengeHost host = await HengeHost.StartAsync(
            new ServerOptions
            {
                Node = new NodeOptions { Name = "alone", DataDirectory = Path.Combine(directory, "n"), Shards = 2 },
                Door = door?.Invoke(doors) ?? doors,
                Audit = audit ?? new AuditOptions(),
            },
            cancellationToken: TestContext.Current.CancellationToken);
        await GrpcRulesTests.Until(() => ReadinessMonitor.FindProblem(host.Node) is null);
        GuardedHost guarded = new(host, directory);
        await guarded.SetUpAsync(enable);
        return guarded;
    }

    public async Task ChangeAsync(AccessChangeRequest change, string? user = "root") =>
        await Access.ChangeAsync(change, user is null ? [] : As(user));

    public static AccessGrant Grant(string prefix, bool read = false, bool write = false, bool watch = false) => new()
    {
        Read = read,
        Write = write,
        Watch = watch,
        Start = Google.Protobuf.ByteString.CopyFromUtf8(prefix),
        End = Google.Protobuf.ByteString.CopyFrom(Henge.Core.KeyRange.EndOfPrefix(Encoding.UTF8.GetBytes(prefix))),
    };

    /// <summary>Sends lines over one connection, and gives all that comes back until the node has answered them.</summary>
    public async Task<string> TalkAsync(string text)
    {
        using TcpClient client = new();
        await client.ConnectAsync(Host.Server.EndPoint);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.UTF8.GetBytes(text));
        client.Client.Shutdown(SocketShutdown.Send);
        using StreamReader reader = new(stream);
        return await reader.ReadToEndAsync();
    }

    public async Task<HttpResponseMessage> HttpAsync(HttpMethod method, string path, Metadata? headers = null, string? body = null)
    {
        using HttpRequestMessage request = new(method, path);
        if (headers?.GetValue("authorization") is { } value)
        {
            request.Headers.Authorization = AuthenticationHeaderValue.Parse(value);
        }

        request.Content = body is null ? null : new StringContent(body);
        return await Http.SendAsync(request);
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        _channel.Dispose();
        await Host.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private async Task SetUpAsync(bool enable)
    {
        AccessChangeRequest[] changes =
        [
            new() { Kind = AccessChangeRequest.Types.Kind.AddUser, Name = "root", Password = Password },
            new() { Kind = AccessChangeRequest.Types.Kind.AddUser, Name = "ann", Password = Password },
            new() { Kind = AccessChangeRequest.Types.Kind.AddUser, Name = "bob", Password = Password },
            new() { Kind = AccessChangeRequest.Types.Kind.AddRole, Name = "writer" },
            new() { Kind = AccessChangeRequest.Types.Kind.AddRole, Name = "reader" },
            new()
            {
                Kind = AccessChangeRequest.Types.Kind.Grant,
                Name = "writer",
                Grant = Grant("a/", read: true, write: true, watch: true),
            },
            new() { Kind = AccessChangeRequest.Types.Kind.Grant, Name = "reader", Grant = Grant("a/", read: true) },
            new() { Kind = AccessChangeRequest.Types.Kind.GrantRole, Name = "ann", Role = "writer" },
            new() { Kind = AccessChangeRequest.Types.Kind.GrantRole, Name = "bob", Role = "reader" },
        ];
        foreach (AccessChangeRequest change in changes)
        {
            await ChangeAsync(change, user: null);
        }

        if (enable)
        {
            await ChangeAsync(new() { Kind = AccessChangeRequest.Types.Kind.Enable }, user: null);
        }
    }
}

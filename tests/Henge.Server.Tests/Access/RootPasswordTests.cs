using Grpc.Core;
using Grpc.Net.Client;
using Henge.Core;
using Henge.Node.Context;
using Henge.Protocol.V1;
using Henge.Server.Access;
using Henge.Server.Hosting;
using Henge.Server.Tests.Grpc;
using Wire = Henge.Protocol.V1;

namespace Henge.Server.Tests.Access;

/// <summary>The way back for who has lost root's password: a setting with a file, at a node's start.</summary>
public sealed class RootPasswordTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("henge-root").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_new_cluster_has_its_root_and_a_lost_password_is_replaced()
    {
        // First there is no user at all.
        await using (HengeHost host = await StartAsync("the first one"))
        {
            await UntilAsync(host, "the first one");
            AccessChangeRequest enable = new() { Kind = AccessChangeRequest.Types.Kind.Enable };
            await ClientOf(host).ChangeAsync(enable, GuardedHost.As("root", "the first one"));
        }

        // Then the password is lost; whoever had logged in with it is out.
        string token;
        await using (HengeHost host = await StartAsync("the second one"))
        {
            await UntilAsync(host, "the second one");
            Assert.Equal(StatusCode.Unauthenticated, await TryAsync(host, GuardedHost.As("root", "the first one")));
            token = (await ClientOf(host).CreateTokenAsync(new(), GuardedHost.As("root", "the second one"))).Token;
            Assert.Equal(StatusCode.OK, await TryAsync(host, GuardedHost.Bearer(token)));
        }

        // With the same file again nothing is changed, and nobody's login ends.
        await using (HengeHost host = await StartAsync("the second one"))
        {
            await UntilAsync(host, "the second one");
            Assert.Equal(StatusCode.OK, await TryAsync(host, GuardedHost.Bearer(token)));
        }

        await using (HengeHost host = await StartAsync("the third one"))
        {
            await UntilAsync(host, "the third one");
            Assert.Equal(StatusCode.Unauthenticated, await TryAsync(host, GuardedHost.Bearer(token)));
        }
    }

    [Theory]
    [InlineData(null, "cannot be read")]
    [InlineData("", "holds no password")]
    [InlineData("\nbehind it", "holds no password")]
    [InlineData("seven77\n", "8 to 1024")]
    public void A_file_without_a_password_is_refused(string? text, string message)
    {
        string file = Path.Combine(_directory, "secret");
        if (text is not null)
        {
            Write(file, text);
        }

        HengeException refused = Assert.Throws<HengeException>(() => RootPassword.Read(file));
        Assert.Equal(ErrorCode.Misconfigured, refused.Code);
        Assert.Contains(message, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_is_too_long_or_that_others_can_read_is_refused_and_the_end_of_a_line_is_none_of_it()
    {
        string file = Path.Combine(_directory, "secret");
        Write(file, new string('x', PasswordHashes.MaxPasswordLength + 1));
        Assert.Throws<HengeException>(() => RootPassword.Read(file));
        Write(file, "long enough\n" + new string('\n', 10_000));
        Assert.Throws<HengeException>(() => RootPassword.Read(file));
        Write(file, "ä pass word \r\n");
        Assert.Equal("ä pass word ", RootPassword.Read(file));
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.OtherRead);
            Assert.Contains("chmod 600", Assert.Throws<HengeException>(() => RootPassword.Read(file)).Message, StringComparison.Ordinal);
        }
    }

    private async Task<HengeHost> StartAsync(string password)
    {
        string file = Path.Combine(_directory, "secret");
        Write(file, password + "\n");
        return await HengeHost.StartAsync(
            new ServerOptions
            {
                Node = new NodeOptions { Name = "alone", DataDirectory = Path.Combine(_directory, "n"), Shards = 1 },
                Door = new DoorOptions { Address = "127.0.0.1:0", RootPasswordFile = file },
            },
            cancellationToken: TestContext.Current.CancellationToken);
    }

    private static void Write(string file, string text)
    {
        File.WriteAllText(file, text);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(file, KeyFile.Mode);
        }
    }

    // Until the node has the user with that password.
    private static Task UntilAsync(HengeHost host, string password) => GrpcRulesTests.Until(() =>
        ((Henge.Node.Access.IAccessControl)host.Node).Access is { IsKnown: true } view
        && view.User("root") is { } root
        && new Microsoft.AspNetCore.Identity.PasswordHasher<string>().VerifyHashedPassword("", root.PasswordHash, password)
            != Microsoft.AspNetCore.Identity.PasswordVerificationResult.Failed);

    private static Wire.Access.AccessClient ClientOf(HengeHost host) =>
        new(GrpcChannel.ForAddress("http://" + host.Server.EndPoint));

    private static async Task<StatusCode> TryAsync(HengeHost host, Metadata headers)
    {
        using GrpcChannel channel = GrpcChannel.ForAddress("http://" + host.Server.EndPoint);
        try
        {
            GetRequest get = new() { Key = Google.Protobuf.ByteString.CopyFromUtf8("a") };
            await new KVStore.KVStoreClient(channel).GetAsync(get, headers);
            return StatusCode.OK;
        }
        catch (RpcException e)
        {
            return e.StatusCode;
        }
    }
}

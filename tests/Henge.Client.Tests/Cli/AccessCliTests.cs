using System.Text;
using System.Text.Json;
using Google.Protobuf;
using Henge.Cli.Outcome;
using Henge.Client.Tests.Fakes;
using Henge.Core;
using Kind = Henge.Protocol.V1.AccessChangeRequest.Types.Kind;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests.Cli;

/// <summary>The commands for users, roles and whether access is checked, against a fake node.</summary>
public sealed class AccessCliTests : IAsyncLifetime
{
    private readonly List<Wire.AccessChangeRequest> _changes = [];
    private readonly List<Wire.CreateTokenRequest> _tokens = [];
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("henge-access-");
    private FakeNode _node = null!;
    private Wire.AccessReadResponse _access = Access();
    private (ErrorCode Code, string Message)? _refusal;
    private string? _seen;

    public async ValueTask InitializeAsync() => _node = await FakeNode.StartAsync(AnswerAsync);

    public async ValueTask DisposeAsync()
    {
        await _node.DisposeAsync();
        _directory.Delete(recursive: true);
    }

    [Theory]
    [InlineData("user delete bob", Kind.DeleteUser, "bob", "", "User bob is deleted.")]
    [InlineData("user grant bob reader", Kind.GrantRole, "bob", "reader", "bob has the role reader.")]
    [InlineData("user revoke bob reader", Kind.RevokeRole, "bob", "reader", "bob does not have the role reader.")]
    [InlineData("user revoke-tokens bob", Kind.RevokeTokens, "bob", "", "The tokens of bob are over.")]
    [InlineData("user add bob --no-password", Kind.AddUser, "bob", "", "User bob is added.")]
    [InlineData("user passwd bob --no-password", Kind.SetPassword, "bob", "", "The password of bob is set.")]
    [InlineData("role add reader", Kind.AddRole, "reader", "", "Role reader is added.")]
    [InlineData("role delete reader", Kind.DeleteRole, "reader", "", "Role reader is deleted.")]
    [InlineData("auth enable", Kind.Enable, "", "", "Access is checked now.")]
    [InlineData("auth disable", Kind.Disable, "", "", "Access is not checked any more.")]
    [InlineData("auth rotate-key", Kind.RotateKey, "", "", "Tokens are signed with a new key; those from before are over.")]
    public async Task Every_change_is_asked_for_as_it_is_written(string line, Kind kind, string name, string role, string said)
    {
        Ran ran = await RunAsync(line.Split(' '));
        Assert.Equal((0, said + "\n", ""), (ran.ExitCode, ran.Output, ran.Error));
        Assert.Equal(new Wire.AccessChangeRequest { Kind = kind, Name = name, Role = role }, Assert.Single(_changes));

        Ran json = await RunAsync([.. line.Split(' '), "--output", "json"]);
        Assert.Equal((0, "{\"done\":true}\n"), (json.ExitCode, json.Output));
    }

    [Theory]
    [InlineData("--prefix app: read,watch", "read,watch: prefix app:", "app:", "app;")]
    [InlineData("--key a read", "read: key a", "a", "a\0")]
    [InlineData("--start a --end n write", "write: range a n", "a", "n")]
    [InlineData("--start a read", "read: range a -", "a", "")]
    [InlineData("--all read,write,watch", "read,write,watch: all", "", "")]
    [InlineData("read --prefix 6170703a --key-encoding hex", "read: prefix app:", "app:", "app;")]
    [InlineData("admin", "admin", "", "")]
    public async Task A_role_is_granted_something_with_keys(string line, string said, string start, string end)
    {
        string permissions = said.Split(':')[0];
        Wire.AccessGrant grant = new()
        {
            Read = permissions.Contains("read", StringComparison.Ordinal),
            Write = permissions.Contains("write", StringComparison.Ordinal),
            Watch = permissions.Contains("watch", StringComparison.Ordinal),
            Admin = permissions == "admin",
            Start = ByteString.CopyFromUtf8(start),
            End = ByteString.CopyFromUtf8(end),
        };
        Ran ran = await RunAsync(["role", "grant", "r", .. line.Split(' ')]);
        Assert.Equal((0, $"Role r may {said}\n", ""), (ran.ExitCode, ran.Output, ran.Error));
        Assert.Equal(0, (await RunAsync(["role", "revoke", "r", .. line.Split(' ')])).ExitCode);
        Assert.Equal(
            [
                new Wire.AccessChangeRequest { Kind = Kind.Grant, Name = "r", Grant = grant },
                new Wire.AccessChangeRequest { Kind = Kind.Revoke, Name = "r", Grant = grant },
            ],
            _changes);
    }

    [Theory]
    [InlineData("role grant r read")]
    [InlineData("role grant r --all")]
    [InlineData("role grant r --all delete")]
    [InlineData("role grant r --all read,")]
    [InlineData("role grant r --all admin")]
    [InlineData("role grant r --all read,admin")]
    [InlineData("role grant r read,admin")]
    [InlineData("role grant r --all --key a read")]
    [InlineData("role grant r --prefix a --start b read")]
    [InlineData("role grant r --prefix= read")]
    [InlineData("role grant r --start= --end= read")]
    [InlineData("role grant r --start b --end a read")]
    [InlineData("role grant r --key xyz --key-encoding hex read")]
    [InlineData("user add")]
    [InlineData("user add bob")]
    [InlineData("user add bob --no-password --new-password-file f")]
    [InlineData("user add bob secret")]
    [InlineData("user grant bob")]
    [InlineData("user token --ttl 0s")]
    [InlineData("user token --ttl 400d")]
    [InlineData("user token --ttl soon")]
    [InlineData("auth status --user alice")]
    [InlineData("auth status --password-file f")]
    [InlineData("auth status --user alice --token-file f")]
    [InlineData("auth status --user")]
    [InlineData("auth status --user a:b --password-file PASSWORD")]
    [InlineData("auth status --token-file EMPTY")]
    [InlineData("auth status --user alice --password-file PASSWORD --peers 10.0.0.1:7001")]
    public async Task What_makes_no_sense_is_told_and_nothing_is_sent(string line)
    {
        string[] arguments = [.. line.Split(' ').Select(word => word switch
        {
            "PASSWORD" => Secret("password", "s3cret\n"),
            "EMPTY" => Secret("empty", "\nsecond\n"),
            _ => word,
        })];
        Ran ran = await RunAsync(arguments);
        Assert.Equal((ExitCode.Usage, ""), (ran.ExitCode, ran.Output));
        Assert.NotEqual("", ran.Error);
        Assert.DoesNotContain("s3cret", ran.Error, StringComparison.Ordinal);
        Assert.Empty(_node.Calls);
    }

    [Fact]
    public async Task A_new_password_is_read_from_a_file_or_typed_twice()
    {
        Assert.Equal(0, (await RunAsync("user", "add", "bob", "--new-password-file", Secret("new", "from file\r\nmore"))).ExitCode);
        Assert.Equal("from file", _changes[0].Password);

        Queue<string> typed = new(["one", "one", "one", "two", ""]);
        List<string> prompts = [];
        string Read(string prompt)
        {
            prompts.Add(prompt);
            return typed.Dequeue();
        }

        Ran same = await RunAsync(["user", "passwd", "bob"], readSecret: Read);
        Assert.Equal((0, "The password of bob is set.\n"), (same.ExitCode, same.Output));
        Assert.Equal(["New password of bob: ", "The same again: "], prompts);
        Assert.Equal((Kind.SetPassword, "one"), (_changes[1].Kind, _changes[1].Password));
        Ran other = await RunAsync(["user", "passwd", "bob"], readSecret: Read);
        Assert.Equal((ExitCode.Usage, "henge: The two are not the same. Nothing was changed.\n"), (other.ExitCode, other.Error));
        Assert.Equal(ExitCode.Usage, (await RunAsync(["user", "passwd", "bob"], readSecret: Read)).ExitCode);
        Assert.Empty(typed);
        Assert.Equal(2, _changes.Count);
    }

    [Fact]
    public async Task Who_calls_is_said_by_options_or_by_the_environment()
    {
        string password = Secret("password", "p1\n"), token = Secret("token", "t1\n");
        Dictionary<string, string> user = new() { ["HENGE_USER"] = "env", ["HENGE_PASSWORD"] = "p2" };
        Dictionary<string, string> tokens = new() { ["HENGE_TOKEN"] = "t2" };
        Assert.Null(await SeenAsync([]));
        Assert.Equal(Basic("alice:p1"), await SeenAsync(["--user", "alice", "--password-file", password]));
        Assert.Equal("Bearer t1", await SeenAsync(["--token-file", token]));
        Assert.Equal(Basic("env:p2"), await SeenAsync([], user));
        Assert.Equal(Basic("env:p1"), await SeenAsync(["--password-file", password], user));
        Assert.Equal(Basic("alice:p3"), await SeenAsync(["--user", "alice"], new() { ["HENGE_PASSWORD"] = "p3" }));
        Assert.Equal("Bearer t1", await SeenAsync(["--token-file", token], user));
        Assert.Equal("Bearer t2", await SeenAsync([], tokens));
        Assert.Equal(Basic("alice:p1"), await SeenAsync(["--user", "alice", "--password-file", password], tokens));

        // The password of one user is not sent as that of another.
        Assert.Equal(Basic("alice:typed"), await SeenAsync(["--user", "alice"], user, _ => "typed"));
        Assert.Equal(Basic("alice:typed"), await SeenAsync(["--user", "alice"], readSecret: prompt =>
        {
            Assert.Equal("Password of alice: ", prompt);
            return "typed";
        }));

        Ran both = await RunAsync(["auth", "status"], new() { ["HENGE_USER"] = "a", ["HENGE_TOKEN"] = "t" });
        Assert.Equal(ExitCode.Usage, both.ExitCode);
        Ran none = await RunAsync("auth", "status", "--user", "alice");
        Assert.Contains("--password-file", none.Error, StringComparison.Ordinal);
        Assert.Contains("HENGE_PASSWORD", none.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.File, (await RunAsync("auth", "status", "--token-file", password + ".none")).ExitCode);
    }

    [Fact]
    public async Task A_file_that_others_can_read_is_refused()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("Files have no such modes there.");
            return;
        }

        string file = Secret("password", "s3cret\n");
        File.SetUnixFileMode(file, KeyFile.Mode | UnixFileMode.OtherRead);
        Ran ran = await RunAsync("auth", "status", "--user", "alice", "--password-file", file);
        Assert.Equal(ExitCode.Usage, ran.ExitCode);
        Assert.Contains("chmod 600", ran.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Usage, (await RunAsync("auth", "status", "--token-file", file)).ExitCode);
        Assert.Equal(ExitCode.Usage, (await RunAsync("user", "add", "bob", "--new-password-file", file)).ExitCode);
        Assert.Empty(_node.Calls);
    }

    [Theory]
    [InlineData(ErrorCode.Unauthenticated, " The ways to say who you are: --user, --token-file, --tls-cert.")]
    [InlineData(ErrorCode.PermissionDenied, "")]
    public async Task A_refusal_has_its_exit_code(ErrorCode code, string hint)
    {
        string said = $"henge: The password is wrong.{hint}\n";
        _refusal = (code, "The password is wrong.");
        foreach (string line in (string[])["auth enable", "get a", "put a 1", "scan", "watch a", "status", "user token"])
        {
            Ran ran = await RunAsync(line.Split(' '));
            Assert.Equal((ExitCode.Refused, "", said), (ran.ExitCode, ran.Output, ran.Error));
        }

        Ran json = await RunAsync("get", "a", "--output", "json");
        using JsonDocument error = JsonDocument.Parse(json.Error);
        Assert.Equal(code.ToString(), error.RootElement.GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task Users_and_roles_are_listed()
    {
        Assert.Equal(
            """
            USER   PASSWORD  ROLES
            -----  --------  --------------
            alice  yes       reader, writer
            bob    no        -

            """,
            (await RunAsync("user", "list")).Output);
        Assert.Equal(
            """
            ROLE    MAY         KEYS
            ------  ----------  -----------
            reader  read,watch  prefix app:
            reader  read        key a
            writer  admin       -
            empty   -           -

            """,
            (await RunAsync("role", "list")).Output);
        Assert.Equal(
            """
            User:     alice
            Password: yes
            Roles:    reader, writer

            ROLE    MAY         KEYS
            ------  ----------  -----------
            reader  read,watch  prefix app:
            reader  read        key a
            writer  admin       -

            """,
            (await RunAsync("user", "show", "alice")).Output);
        Assert.Equal(
            """
            ROLE    MAY    KEYS
            ------  -----  ----
            writer  admin  -

            Users: alice

            """,
            (await RunAsync("role", "show", "writer")).Output);
        Assert.Equal(
            """{"users":[{"name":"alice","password":true,"roles":["reader","writer"]},"""
                + """{"name":"bob","password":false,"roles":[]}]}""" + "\n",
            (await RunAsync("user", "list", "--output", "json")).Output);
        Assert.Equal(
            """{"name":"reader","grants":[{"permissions":["read","watch"],"start":"app:","end":"app;"},"""
                + """{"permissions":["read"],"start":"a","end":"a\u0000"}],"users":["alice"]}""" + "\n",
            (await RunAsync("role", "show", "reader", "--output", "json")).Output);
        using JsonDocument user = JsonDocument.Parse((await RunAsync("user", "show", "alice", "--output", "json")).Output);
        Assert.Equal(2, user.RootElement.GetProperty("grants_of_roles").GetArrayLength());

        Ran nobody = await RunAsync("user", "show", "carol");
        Assert.Equal((ExitCode.No, "", "henge: there is no user carol.\n"), (nobody.ExitCode, nobody.Output, nobody.Error));
        Assert.Equal(ExitCode.No, (await RunAsync("role", "show", "none")).ExitCode);
    }

    [Fact]
    public async Task Who_does_not_see_all_is_told_so()
    {
        _access.Complete = false;
        _access.Users.RemoveAt(1);
        Ran list = await RunAsync("user", "list");
        Assert.Equal(
            (0, "henge: shown is what is of alice; more takes the permission admin.\n"),
            (list.ExitCode, list.Error));
        Assert.Equal(ExitCode.Refused, (await RunAsync("user", "show", "bob")).ExitCode);
        Assert.Equal(0, (await RunAsync("user", "show", "alice")).ExitCode);
    }

    [Fact]
    public async Task The_status_says_whether_access_is_checked()
    {
        Assert.Equal(
            """
            Access:   checked
            You:      alice, admin
            Users:    2
            Roles:    3
            Revision: 12

            """,
            (await RunAsync("auth", "status")).Output);
        Assert.Equal(
            """{"enabled":true,"you":"alice","admin":true,"revision":12,"users":2,"roles":3}""" + "\n",
            (await RunAsync("auth", "status", "--output", "json")).Output);
        _access = new Wire.AccessReadResponse();
        Assert.Equal(
            """
            Access:   not checked: everybody may do everything
            You:      nobody
            Revision: 0

            """,
            (await RunAsync("auth", "status")).Output);
    }

    [Fact]
    public async Task A_token_is_all_that_is_printed()
    {
        Ran own = await RunAsync("user", "token");
        Assert.Equal((0, "the.token\n", ""), (own.ExitCode, own.Output, own.Error));
        Ran other = await RunAsync("user", "token", "bob", "--ttl", "15m", "--output", "json");
        Assert.Equal("{\"token\":\"the.token\",\"expires\":\"2030-01-01T00:00:00.000Z\"}\n", other.Output);
        Assert.Equal([new Wire.CreateTokenRequest(), new Wire.CreateTokenRequest { User = "bob", TtlMs = 900_000 }], _tokens);
    }

    private async Task AnswerAsync(FakeCall call)
    {
        _seen = call.Header("authorization");
        if (_refusal is { } refusal)
        {
            call.Fail(refusal.Code, refusal.Message);
            return;
        }

        switch (call.Method)
        {
            case "Read":
                await call.WriteAsync(_access);
                break;
            case "Change":
                _changes.Add((await call.ReadAsync(Wire.AccessChangeRequest.Parser))!);
                await call.WriteAsync(new Wire.AccessChangeResponse());
                break;
            case "CreateToken":
                _tokens.Add((await call.ReadAsync(Wire.CreateTokenRequest.Parser))!);
                await call.WriteAsync(new Wire.CreateTokenResponse { Token = "the.token", ExpiresAtUnixMs = 1_893_456_000_000 });
                break;
            default:
                call.Fail(ErrorCode.UnsupportedFormat, "no such method");
                break;
        }
    }

    private Task<Ran> RunAsync(params string[] arguments) => CliRun.RunAsync(_node.Address, arguments);

    private Task<Ran> RunAsync(
        string[] arguments,
        Dictionary<string, string>? environment = null,
        Func<string, string>? readSecret = null) =>
        CliRun.RunAsync(_node.Address, arguments, environment: environment, readSecret: readSecret);

    private async Task<string?> SeenAsync(
        string[] options,
        Dictionary<string, string>? environment = null,
        Func<string, string>? readSecret = null)
    {
        Ran ran = await RunAsync(["auth", "status", .. options], environment, readSecret);
        Assert.Equal((0, ""), (ran.ExitCode, ran.Error));
        return _seen;
    }

    private string Secret(string name, string text)
    {
        string file = Path.Combine(_directory.FullName, name);
        File.WriteAllText(file, text);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(file, KeyFile.Mode);
        }

        return file;
    }

    private static string Basic(string pair) => "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes(pair));

    private static Wire.AccessReadResponse Access()
    {
        Wire.AccessReadResponse access = new() { Enabled = true, Revision = 12, You = "alice", Complete = true };
        access.Users.Add(new Wire.AccessUser { Name = "alice", HasPassword = true, Roles = { "reader", "writer" } });
        access.Users.Add(new Wire.AccessUser { Name = "bob" });
        access.Roles.Add(new Wire.AccessRole
        {
            Name = "reader",
            Grants =
            {
                new Wire.AccessGrant
                {
                    Read = true,
                    Watch = true,
                    Start = ByteString.CopyFromUtf8("app:"),
                    End = ByteString.CopyFromUtf8("app;"),
                },
                new Wire.AccessGrant { Read = true, Start = ByteString.CopyFromUtf8("a"), End = ByteString.CopyFromUtf8("a\0") },
            },
        });
        access.Roles.Add(new Wire.AccessRole { Name = "writer", Grants = { new Wire.AccessGrant { Admin = true } } });
        access.Roles.Add(new Wire.AccessRole { Name = "empty" });
        return access;
    }
}

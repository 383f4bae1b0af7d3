using System.Text;
using Henge.Server.Resp.Commands;
using Henge.Server.Resp.Wire;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Resp;

/// <summary>
/// Where the RESP door once differed from a real Redis without need. (eng/interop-resp.sh compares the same with a Redis beside it.)
/// </summary>
public sealed class RespAsRedisTests
{
    [Fact]
    public Task UNWATCH_inside_a_transaction_is_queued() => RealNode.ExpectAsync(
        "MULTI\r\nUNWATCH\r\nSET a 1\r\nEXEC\r\n", "+OK", "+QUEUED", "+QUEUED", "*2", "+OK", "+OK");

    [Fact]
    public Task UNWATCH_inside_a_transaction_comes_too_late_for_a_key_that_changed() => RealNode.ExpectAsync(
        "SET a 1\r\nWATCH a\r\nSET a 2\r\nMULTI\r\nUNWATCH\r\nEXEC\r\nMULTI\r\nPING\r\nEXEC\r\n",
        "+OK", "+OK", "+OK", "+OK", "+QUEUED", "*-1", "+OK", "+QUEUED", "*1", "+PONG");

    [Fact]
    public Task SET_takes_one_condition() => RealNode.ExpectAsync(
        "SET a 1\r\nSET a 2 IFEQ 1 NX\r\nSET a 2 IFEQ 1 XX\r\nSET a 2 NX IFEQ 1\r\nMULTI\r\nSET a 2 IFEQ 1 NX\r\nGET a\r\nEXEC\r\n",
        "+OK", "-ERR syntax error", "-ERR syntax error", "-ERR syntax error", "+OK", "+QUEUED", "+QUEUED", "*2", "-ERR syntax error",
        "$1", "1");

    [Fact]
    public Task A_watched_key_that_came_and_went_again_empties_the_transaction() => RealNode.ExpectAsync(
        "WATCH q\r\nSET q 1\r\nDEL q\r\nMULTI\r\nSET q 2\r\nEXEC\r\nGET q\r\n", "+OK", "+OK", ":1", "+OK", "+QUEUED", "*-1", "$-1");

    [Fact]
    public Task A_watched_key_that_came_and_expired_empties_the_transaction() => RealNode.ExpectAsync(
        "WATCH q\r\nSET q 1 PX 100000\r\nPEXPIREAT q 1\r\nMULTI\r\nSET q 2\r\nEXEC\r\n", "+OK", "+OK", ":1", "+OK", "+QUEUED", "*-1");

    [Fact]
    public Task A_watched_key_that_stays_away_lets_the_transaction_through() => RealNode.ExpectAsync(
        "SET q 1\r\nDEL q\r\nWATCH q none\r\nDEL q\r\nSET q 3 XX\r\nGET q\r\nUNWATCH\r\nWATCH q\r\nMULTI\r\nSET q 2\r\nEXEC\r\n",
        "+OK", ":1", "+OK", ":0", "$-1", "$-1", "+OK", "+OK", "+OK", "+QUEUED", "*1", "+OK");

    [Fact]
    public Task Whoever_selected_another_database_does_not_write_into_this_one() => RealNode.ExpectAsync(
        "SELECT 1\r\nSET a 1\r\nGET a\r\nDBSIZE\r\nWATCH a\r\nPING\r\nSELECT 0\r\nGET a\r\n",
        "-ERR DB index is out of range",
        Refused("set"), Refused("get"), Refused("dbsize"), Refused("watch"),
        "+PONG", "+OK", "$-1");

    [Fact]
    public Task Whoever_selected_another_database_does_not_empty_this_one() => RealNode.ExpectAsync(
        "SET k v\r\nSELECT 1\r\nFLUSHDB\r\nFLUSHALL\r\nSELECT 0\r\nGET k\r\n",
        "+OK", "-ERR DB index is out of range", Refused("flushdb"), Refused("flushall"), "+OK", "$1", "v");

    [Fact]
    public void Every_command_that_writes_is_closed_to_whoever_selected_another_database() =>
        Assert.All(
            RespCommands.Table.All.Where(static c => c.Writes),
            static c => Assert.True(c.TouchesKeys, c.Name));

    [Fact]
    public Task A_transaction_that_selects_another_database_has_no_effect() => RealNode.ExpectAsync(
        "MULTI\r\nSELECT 1\r\nSET a 1\r\nEXEC\r\nGET a\r\nSELECT 1\r\nMULTI\r\nSET a 1\r\nEXEC\r\n",
        "+OK", "-ERR DB index is out of range", "+QUEUED", "-EXECABORT Transaction discarded because of previous errors.", "$-1",
        "-ERR DB index is out of range", "+OK", Refused("set"), "-EXECABORT Transaction discarded because of previous errors.");

    [Fact]
    public Task The_default_user_may_have_any_password_as_long_as_there_are_none() => RealNode.ExpectAsync(
        "AUTH default x\r\nAUTH default \"\"\r\nAUTH x\r\nAUTH other x\r\nHELLO 3 AUTH other x\r\nGET none\r\n",
        "+OK", "+OK",
        "-ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        "-WRONGPASS invalid username-password pair or user is disabled.",
        "-WRONGPASS invalid username-password pair or user is disabled.", "$-1");

    [Fact]
    public Task HELLO_with_the_default_user_is_accepted() =>
        RealNode.ExpectAsync(
            "HELLO 2 AUTH default x SETNAME me\r\nCLIENT GETNAME\r\n",
            "*14",
            "$6",
            "server",
            "$5",
            "redis",
            "$7",
            "version",
            "$5",
            "7.0.0",
            "$5",
            "proto",
            ":2",
            "$2",
            "id",
            ":1",
            "$4",
            "mode",
            "$10",
            "standalone",
            "$4",
            "role",
            "$6",
            "master",
            "$7",
            "modules",
            "*0",
            "$2",
            "me");

    [Fact]
    public Task Times_to_live_beyond_the_last_moment_of_versions_end_there() =>
        RealNode.ExpectAsync(
            string.Concat(
                new[]
                {
                    "SETEX a 9223370000000000 v",
                    "PSETEX a 9223370000000000000 v",
                    "SET a v EX 9223370000000000",
                    "SET a v PX 9223370000000000000",
                    "SET a v EXAT 9223370000000000",
                    "SET a v PXAT 9223372036854775807",
                    "EXPIRE a 9223370000000000",
                    "PEXPIRE a 9223370000000000000",
                    "EXPIREAT a 9223370000000000",
                    "PEXPIREAT a 9223372036854775807",
                    "GETEX a PXAT 9223372036854775807",
                    "SETEX a 9223372036854775 v",
                    "PSETEX a 9223372036854775807 v",
                    "SET a v EX 9223372036854775",
                    "EXPIRE a 9223372036854776",
                    "EXPIRE a -9223372036854776",
                    "PEXPIREAT a -9223372036854775807",
                    "GET a",
                }.Select(static c => c + "\r\n")),
            "+OK",
            "+OK",
            "+OK",
            "+OK",
            "+OK",
            "+OK",
            ":1",
            ":1",
            ":1",
            ":1",
            "$1",
            "v",
            Expiry("setex"),
            Expiry("psetex"),
            Expiry("set"),
            Expiry("expire"),
            Expiry("expire"),
            ":1",
            "$-1");

    [Fact]
    public Task Options_may_be_repeated() =>
        RealNode.ExpectAsync(
            "SET a 1 NX NX\r\nSET a 2 XX XX EX 100 EX 200\r\nTTL a\r\nSET a 3 GET GET KEEPTTL KEEPTTL\r\nGETEX a EX 5 EX 300\r\nTTL "
                + "a\r\nGETEX a PERSIST PERSIST\r\nTTL a\r\nSET a 1 EX 5 PX 5\r\nGETEX a EX 5 PERSIST\r\n",
            "+OK",
            "+OK",
            ":200",
            "$1",
            "2",
            "$1",
            "3",
            ":300",
            "$1",
            "3",
            ":-1",
            "-ERR syntax error",
            "-ERR syntax error");

    [Fact]
    public Task A_hundred_thousand_keys_are_deleted_by_one_command() =>
        RealNode.ExpectAsync(
            "SET key7 v\r\nSET key99999 v\r\n"
                + Command(["DEL", .. Enumerable.Range(0, 100_000).Select(static i => "key" + i), "key7"])
                + "GET key7\r\nEXISTS key99999\r\n",
            "+OK",
            "+OK",
            ":2",
            "$-1",
            ":0");

    [Fact]
    public Task A_hundred_thousand_keys_are_read_and_written_by_one_command() =>
        RealNode.ExpectAsync(
            Command(["MSET", .. Enumerable.Range(0, 100_000).SelectMany(static i => new[] { "key" + i, "v" })])
                + Command(["EXISTS", .. Enumerable.Range(0, 100_000).Select(static i => "key" + i)])
                + "PING\r\n",
            "+OK",
            ":100000",
            "+PONG");

    [Fact]
    public Task Names_of_clients_can_forge_no_lines() =>
        RealNode.ExpectAsync(
            "CLIENT SETNAME \"a\\nid=7\"\r\nHELLO 2 SETNAME \"a b\"\r\nCLIENT GETNAME\r\nCLIENT SETINFO LIB-NAME \"a\\nb\"\r\nCLIENT "
                + "SETINFO COLOUR red\r\nCLIENT SETINFO lib-ver 1.0\r\nCLIENT NO-EVICT maybe\r\nCLIENT NO-TOUCH on\r\nCLIENT ID x\r\n",
            ClientNames,
            ClientNames,
            "$-1",
            "-ERR lib-name cannot contain spaces, newlines or special characters.",
            "-ERR Unrecognized option 'COLOUR'",
            "+OK",
            "-ERR syntax error",
            "+OK",
            "-ERR wrong number of arguments for 'client|id' command");

    [Theory]
    [InlineData(" PING\r\n")]
    [InlineData("\t PING\r\n")]
    public Task Blanks_may_stand_before_a_first_inline_command(string request) => RealNode.ExpectAsync(request, "+PONG");

    [Theory]
    [InlineData("a[a-]", "aa", true)]
    [InlineData("a[a-]", "a]", true)]
    [InlineData("a[a-]", "a-", false)]
    [InlineData("a[-a]", "a-", true)]
    [InlineData("a[b-a]", "aa", true)]
    [InlineData("a[\\]]", "a]", true)]
    [InlineData("a[a", "aa", true)]
    [InlineData("a[a-", "a-", true)]
    [InlineData("a[a-b", "ab", true)]
    [InlineData("a[^", "ax", true)]
    [InlineData("a[", "aa", false)]
    [InlineData("a[]", "a]", false)]
    public void Classes_of_patterns_are_read_as_Redis_reads_them(string pattern, string text, bool matches) =>
        Assert.Equal(matches, Glob.Matches(Encoding.ASCII.GetBytes(pattern), Encoding.ASCII.GetBytes(text)));

    private const string ClientNames = "-ERR Client names cannot contain spaces, newlines or special characters.";

    private static string Expiry(string command) => $"-ERR invalid expire time in '{command}' command";

    private static string Refused(string command) =>
        $"-ERR '{command}' was not done: this connection selected database 1, and there is only database 0. Use SELECT 0, or remove the "
            + $"database from the client's settings";

    private static string Command(string[] arguments) =>
        $"*{arguments.Length}\r\n" + string.Concat(arguments.Select(static a => $"${a.Length}\r\n{a}\r\n"));
}

using Henge.Server.Resp.Wire;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Resp;

/// <summary>What needs the real state machine behind the RESP door. (The comparison with a real Redis is in eng/interop-resp.sh.)</summary>
public sealed class RespOnRealNodeTests
{
    [Fact]
    public Task What_the_state_machine_refuses_is_told_in_Redis_words() => RealNode.ExpectAsync(
        "SET k text\r\nINCR k\r\nINCRBYFLOAT k 1\r\nINCRBYFLOAT k -inf\r\nSET k 9223372036854775807\r\nINCR k\r\n",
        "+OK",
        "-ERR value is not an integer or out of range",
        "-ERR value is not a valid float",
        "-ERR increment would produce NaN or Infinity",
        "+OK",
        "-ERR increment or decrement would overflow");

    [Fact]
    public Task Conditions_of_EXPIRE_may_stand_together_where_they_make_sense() => RealNode.ExpectAsync(
        "SET k v EX 100\r\nEXPIRE k 200 XX GT\r\nEXPIRE k 100 XX GT\r\nEXPIRE k 100 GT LT\r\nEXPIRE k 100 NX XX\r\nEXPIRE k 1 XX LT\r\n",
        "+OK",
        ":1",
        ":0",
        "-ERR GT and LT options at the same time are not compatible",
        "-ERR NX and XX, GT or LT options at the same time are not compatible",
        "-ERR XX and LT at the same time are not supported by Henge");

    [Fact]
    public Task Who_unsubscribes_at_once_is_answered_and_stays_connected()
    {
        const int Times = 300;
        string[] lines =
        [
            "*3",
            "$10",
            "psubscribe",
            "$18",
            "__keyspace@0__:q:*",
            ":1",
            "*3",
            "$12",
            "punsubscribe",
            "$18",
            "__keyspace@0__:q:*",
            ":0",
        ];
        return RealNode.ExpectAsync(
            string.Concat(Enumerable.Repeat("PSUBSCRIBE __keyspace@0__:q:*\r\nPUNSUBSCRIBE __keyspace@0__:q:*\r\n", Times)) + "PING\r\n",
            [.. Enumerable.Repeat(lines, Times).SelectMany(static l => l), "+PONG"]);
    }

    [Fact]
    public Task A_transaction_goes_to_the_shard_of_its_key_wherever_the_key_stands_in_the_command() => RealNode.ExpectAsync(
        string.Concat("abcdefgh".Select(static k => $"SET {k} text\r\nMULTI\r\nOBJECT ENCODING {k}\r\nEXEC\r\n")),
        [.. Enumerable.Repeat<string[]>(["+OK", "+OK", "+QUEUED", "*1", "$6", "embstr"], 8).SelectMany(static l => l)]);

    [Fact]
    public Task What_a_key_is_comes_before_mistakes_in_options() =>
        RealNode.ExpectAsync(
            "SET s 1\r\nHSET h f v\r\nHSCAN s 0 NO 1\r\nHSCAN none 0 NO 1\r\nHSCAN h 0 NO 1\r\nHSCAN s x\r\nBITCOUNT none a b\r\nBITCOUNT "
                + "h 0\r\nBITCOUNT s 0\r\n",
            "+OK",
            ":1",
            "-" + RespErrors.WrongType,
            "*2",
            "$1",
            "0",
            "*0",
            "-" + RespErrors.Syntax,
            "-ERR invalid cursor",
            ":0",
            "-" + RespErrors.WrongType,
            "-" + RespErrors.Syntax);

    [Fact]
    public Task SCAN_gives_only_keys_of_the_type_that_is_asked_for() =>
        RealNode.ExpectAsync(
            "SET a 1\r\nHSET b f v\r\nSET c 2\r\nHSET d f v\r\nEXPIRE d 100\r\nSCAN 0 TYPE hash\r\nSCAN 0 TYPE STRING\r\nSCAN 0 MATCH d* "
                + "TYPE hash\r\nSCAN 0 TYPE zset\r\nSET b 1\r\nSCAN 0 TYPE hash\r\n",
            "+OK",
            ":1",
            "+OK",
            ":1",
            ":1",
            "*2",
            "$1",
            "0",
            "*2",
            "$1",
            "b",
            "$1",
            "d",
            "*2",
            "$1",
            "0",
            "*2",
            "$1",
            "a",
            "$1",
            "c",
            "*2",
            "$1",
            "0",
            "*1",
            "$1",
            "d",
            "*2",
            "$1",
            "0",
            "*0",
            "+OK",
            "*2",
            "$1",
            "0",
            "*1",
            "$1",
            "d");

    [Fact]
    public Task Subcommands_say_what_is_wrong_with_them() =>
        RealNode.ExpectAsync(
            "OBJECT ENCODING\r\nOBJECT encoding a b\r\nMEMORY USAGE\r\nCONFIG GET\r\nSCRIPT LOAD\r\nSLOWLOG LEN 1\r\nSLOWLOG GET "
                + "-2\r\nLATENCY no\r\nOBJECT no\r\n",
            "-" + RespErrors.WrongArity("object|encoding"),
            "-" + RespErrors.WrongArity("object|encoding"),
            "-" + RespErrors.WrongArity("memory|usage"),
            "-" + RespErrors.WrongArity("config|get"),
            "-" + RespErrors.WrongArity("script|load"),
            "-" + RespErrors.WrongArity("slowlog|len"),
            "-ERR count should be greater than or equal to -1",
            "-ERR unknown subcommand 'no'. Try LATENCY LATEST, HISTORY, RESET, DOCTOR.",
            "-ERR unknown subcommand 'no'. Try OBJECT ENCODING, REFCOUNT, IDLETIME, FREQ.");

    [Fact]
    public Task Random_fields_are_bounded_before_they_are_written() => RealNode.ExpectAsync(
        $"HSET h f {new string('x', 60_000)}\r\nHRANDFIELD h -1000000 WITHVALUES\r\nHRANDFIELD h -2\r\n",
        ":1", $"-ERR the reply would have more than {64 * 1024 * 1024} bytes; ask for fewer fields at once", "*2", "$1", "f", "$1", "f");

    [Fact]
    public Task The_same_large_field_asked_for_many_times_is_refused_also_inside_a_transaction() =>
        RealNode.ExpectAsync(
            $"HSET h f {new string('x', 60_000)} g y\r\nHMGET h{string.Concat(Enumerable.Repeat(" f", 1200))}\r\nMULTI\r\nHMGET "
                + $"h{string.Concat(Enumerable.Repeat(" f", 1200))}\r\nHMGET h g\r\nEXEC\r\n",
            ":2",
            "-" + RespErrors.ReplyTooLarge("fields"),
            "+OK",
            "+QUEUED",
            "+QUEUED",
            "*2",
            "-" + RespErrors.ReplyTooLarge("fields"),
            "*1",
            "$1",
            "y");

    [Fact]
    public Task Walks_over_the_keys_inside_a_transaction_see_the_moment_of_the_transaction() =>
        RealNode.ExpectAsync(
            "MSET {a}1 x b y\r\nMULTI\r\nDBSIZE\r\nKEYS {a}*\r\nSET {a}2 v\r\nDBSIZE\r\nDEL {a}1\r\nKEYS {a}*\r\nSCAN 0 MATCH {a}* COUNT "
                + "100\r\nSCAN x\r\nSCAN 0 COUNT\r\nEXEC\r\nDBSIZE\r\n",
            "+OK",
            "+OK",
            "+QUEUED",
            "+QUEUED",
            "+QUEUED",
            "+QUEUED",
            "+QUEUED",
            "+QUEUED",
            "+QUEUED",
            "+QUEUED",
            "+QUEUED",
            "*9",
            ":2",
            "*1",
            "$4",
            "{a}1",
            "+OK",
            ":2",
            ":1",
            "*1",
            "$4",
            "{a}2",
            "*2",
            "$1",
            "0",
            "*1",
            "$4",
            "{a}2",
            "-ERR invalid cursor",
            "-ERR syntax error",
            ":2");

    [Fact]
    public Task A_transaction_of_walks_alone_needs_no_key_and_one_that_is_off_walks_nowhere() =>
        RealNode.ExpectAsync(
            "MULTI\r\nDBSIZE\r\nRANDOMKEY\r\nPING\r\nEXEC\r\nSET a 1\r\nMULTI\r\nRANDOMKEY\r\nGET a\r\nEXEC\r\nWATCH a\r\nSET a "
                + "2\r\nMULTI\r\nDBSIZE\r\nEXEC\r\nMULTI\r\nKEYS\r\nEXEC\r\n",
            "+OK",
            "+QUEUED",
            "+QUEUED",
            "+QUEUED",
            "*3",
            ":0",
            "$-1",
            "+PONG",
            "+OK",
            "+OK",
            "+QUEUED",
            "+QUEUED",
            "*2",
            "$1",
            "a",
            "$1",
            "1",
            "+OK",
            "+OK",
            "+OK",
            "+QUEUED",
            "*-1",
            "+OK",
            "-" + RespErrors.WrongArity("keys"),
            "-EXECABORT Transaction discarded because of previous errors.");

    [Fact]
    public Task RESET_makes_a_connection_as_if_it_were_new() => RealNode.ExpectAsync(
        "SET a 1\r\nCLIENT SETNAME me\r\nWATCH a\r\nSET a 2\r\nMULTI\r\nSET a 3\r\nRESET\r\nCLIENT GETNAME\r\nMULTI\r\nGET a\r\nEXEC\r\n"
        + "SELECT 1\r\nRESET\r\nGET a\r\nSUBSCRIBE c\r\nRESET\r\nGET a\r\n",
        "+OK", "+OK", "+OK", "+OK", "+OK", "+QUEUED", "+RESET", "$-1", "+OK", "+QUEUED", "*1", "$1", "2",
        "-ERR DB index is out of range", "+RESET", "$1", "2", "*3", "$9", "subscribe", "$1", "c", ":1", "+RESET", "$1", "2");

    [Fact]
    public Task COMMAND_GETKEYS_tells_the_keys_of_a_command() =>
        RealNode.ExpectAsync(
            "COMMAND GETKEYS MSET a 1 b 2\r\nCOMMAND GETKEYS OBJECT ENCODING a\r\nCOMMAND GETKEYS EVAL x 0\r\nCOMMAND GETKEYS PING "
                + "x\r\nCOMMAND GETKEYS GET\r\nCOMMAND GETKEYS MSET a\r\nCOMMAND GETKEYS NO x\r\n",
            "*2",
            "$1",
            "a",
            "$1",
            "b",
            "*1",
            "$1",
            "a",
            "*0",
            "-ERR The command has no key arguments",
            "-" + RespErrors.WrongArity("command|getkeys"),
            "-ERR Invalid number of arguments specified for command",
            "-ERR Invalid command specified");
}

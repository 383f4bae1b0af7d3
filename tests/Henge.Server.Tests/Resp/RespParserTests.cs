using System.Text;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Tests.Resp;

public sealed class RespParserTests
{
    private static string[] Texts(RespParser parser, byte[] data) =>
        [.. parser.Arguments.ToArray().Select(a => Encoding.Latin1.GetString(parser.Unquoted ?? data, a.Offset, a.Length))];

    private static (RespParse Outcome, string[] Arguments, int Position, RespParser Parser) Parse(string text, int bytesLimit = 1 << 20)
    {
        byte[] data = Encoding.Latin1.GetBytes(text);
        var parser = new RespParser(bytesLimit, 1000);
        int position = 0;
        RespParse outcome = parser.Parse(data, ref position);
        return (outcome, outcome == RespParse.Command ? Texts(parser, data) : [], position, parser);
    }

    [Fact]
    public void An_array_of_bulk_strings_is_a_command()
    {
        (RespParse outcome, string[] arguments, int position, _) = Parse("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$0\r\n\r\n*1\r\n");
        Assert.Equal(RespParse.Command, outcome);
        Assert.Equal(["SET", "a", ""], arguments);
        Assert.Equal(26, position);
    }

    [Theory]
    [InlineData("GET  a \r\n", "GET|a")]
    [InlineData("SET k \"a b\\x41\\n\"\n", "SET|k|a bA\n")]
    [InlineData("SET k 'it\\'s \\n'\r\n", "SET|k|it's \\n")]
    [InlineData("\r\n", "")]
    public void Inline_commands_are_split_as_a_shell_would(string line, string expected)
    {
        (RespParse outcome, string[] arguments, int position, _) = Parse(line);
        Assert.Equal(RespParse.Command, outcome);
        Assert.Equal(expected, string.Join('|', arguments));
        Assert.Equal(line.Length, position);
    }

    [Theory]
    [InlineData("*abc\r\n", "invalid multibulk length")]
    [InlineData("*99999\r\n", "invalid multibulk length")]
    [InlineData("*1\r\n+a\r\n", "expected '$', got '+'")]
    [InlineData("*1\r\n$-5\r\n", "invalid bulk length")]
    [InlineData("*1\r\n$99999999\r\n", "invalid bulk length")]
    [InlineData("*1\r\n$1\r\nab\r\n", "expected CRLF")]
    [InlineData("SET k \"abc\r\n", "unbalanced quotes")]
    [InlineData("SET k \"abc\"d\r\n", "unbalanced quotes")]
    public void What_is_not_RESP_is_refused_in_Redis_words(string text, string complaint)
    {
        (RespParse outcome, _, _, RespParser parser) = Parse(text);
        Assert.Equal(RespParse.Malformed, outcome);
        Assert.Contains(complaint, parser.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void An_endless_header_or_inline_command_is_refused_before_it_is_kept()
    {
        Assert.Equal(RespParse.Malformed, Parse("*" + new string('1', 100)).Outcome);
        Assert.Equal(RespParse.Malformed, Parse(new string('x', 70_000)).Outcome);
    }

    [Fact]
    public void Every_cut_of_a_command_needs_more_and_says_how_much_at_most()
    {
        const string Text = "*2\r\n$4\r\nECHO\r\n$100\r\n";
        string whole = Text + new string('v', 100) + "\r\n";
        for (int cut = 0; cut < whole.Length; cut++)
        {
            (RespParse outcome, _, int position, RespParser parser) = Parse(whole[..cut]);
            Assert.Equal(RespParse.NeedMore, outcome);
            Assert.Equal(0, position);
            Assert.InRange(parser.NeededBytes, cut + 1, whole.Length);
        }

        Assert.Equal(whole.Length, Parse(whole[..Text.Length]).Parser.NeededBytes);
        Assert.Equal(RespParse.Command, Parse(whole).Outcome);
    }

    [Fact]
    public void Garbage_never_reads_outside_of_its_bytes()
    {
        var random = new Random(1);
        byte[] alphabet = "*$\r\n0123456789-\"'\\x GETabc\0"u8.ToArray();
        for (int round = 0; round < 100_000; round++)
        {
            var data = new byte[random.Next(40)];
            for (int i = 0; i < data.Length; i++)
            {
                data[i] = alphabet[random.Next(alphabet.Length)];
            }

            var parser = new RespParser(64, 8);
            int position = 0, before;
            do
            {
                before = position;
                if (parser.Parse(data, ref position) != RespParse.Command)
                {
                    break;
                }

                Assert.True(position > before && position <= data.Length);
                foreach (RespArgument argument in parser.Arguments)
                {
                    Assert.True(argument.Offset >= 0 && argument.Offset + argument.Length <= (parser.Unquoted ?? data).Length);
                }
            }
            while (position < data.Length);
        }
    }
}

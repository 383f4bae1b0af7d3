using System.Buffers;
using System.Text;
using Henge.Server.Resp.Commands;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Tests.Resp;

/// <summary>What COMMAND says of commands.</summary>
public sealed class CommandDocsTests
{
    [Fact]
    public void Every_command_is_described()
    {
        foreach (RespCommand command in RespCommands.Table.All)
        {
            CommandDocs? docs = CommandDocs.Of(command.Name);
            Assert.True(docs is not null, command.Name);
            Assert.Matches(@"^\d+\.\d+\.\d+$", docs.Since);
            Assert.EndsWith(".", docs.Summary, StringComparison.Ordinal);
            Assert.DoesNotContain('|', docs.Summary + docs.Complexity + docs.Group);

            // Arguments that must stand, against the number that the command asks for; those with subcommands look at them by themselves.
            int least = docs.Arguments.Sum(Least) + 1,
                most = docs.Arguments.Any(static a => a.IsOptional || a.IsMultiple || a.Type == "oneof") ? int.MaxValue : least;
            Assert.True(
                command.Subcommands is not null || least <= Math.Abs(command.Arity),
                $"{command.Name}: {least} arguments at least, arity {command.Arity}");
            Assert.True(
                command.Arity < 0 || (command.Arity == least && most == least),
                $"{command.Name}: {least} arguments, arity {command.Arity}");
            Assert.Equal(command.Keys.First > 0 && command.Subcommands is null, docs.Arguments.Any(HasKey));
        }
    }

    [Fact]
    public void The_notation_of_arguments_is_read()
    {
        IReadOnlyList<CommandSyntax> set = CommandSyntax.Parse(
            "key:key {pair=field value:integer}... [condition=NX|XX|IFEQ other] [EX seconds:integer] [MATCH {two=a b}] [get=GET]");
        Assert.Equal(("key", "key"), (set[0].Name, set[0].Type));
        Assert.Equal(("pair", "block", true, false), (set[1].Name, set[1].Type, set[1].IsMultiple, set[1].IsOptional));
        Assert.Equal(["field:string", "value:integer"], set[1].Parts.Select(static p => $"{p.Name}:{p.Type}"));
        Assert.Equal(("condition", "oneof", true), (set[2].Name, set[2].Type, set[2].IsOptional));
        Assert.Equal(
            ["nx:pure-token:NX", "xx:pure-token:XX", "other:string:IFEQ"],
            set[2].Parts.Select(static p => $"{p.Name}:{p.Type}:{p.Token}"));
        Assert.Equal(("seconds", "integer", "EX", true), (set[3].Name, set[3].Type, set[3].Token, set[3].IsOptional));
        Assert.Equal(("two", "block", "MATCH", true), (set[4].Name, set[4].Type, set[4].Token, set[4].IsOptional));
        Assert.Equal(("get", "pure-token", "GET", true), (set[5].Name, set[5].Type, set[5].Token, set[5].IsOptional));
        Assert.Equal(6, set.Count);
        Assert.Empty(CommandSyntax.Parse(""));
    }

    [Fact]
    public void Sets_are_arrays_in_RESP2()
    {
        var output = new ArrayBufferWriter<byte>();
        new RespWriter(output) { Protocol = 3 }.Set(2);
        new RespWriter(output).Set(2);
        Assert.Equal("~2\r\n*2\r\n", Encoding.ASCII.GetString(output.WrittenSpan));
    }

    private static int Least(CommandSyntax argument) =>
        argument.IsOptional
            ? 0
            : (argument.Token is not null && argument.Type != "pure-token" ? 1 : 0)
                + (
                    argument.Type switch
                    {
                        "block" => argument.Parts.Sum(Least),
                        "oneof" => argument.Parts.Min(Least),
                        _ => 1,
                    });

    private static bool HasKey(CommandSyntax argument) => argument.Type == "key" || argument.Parts.Any(HasKey);
}

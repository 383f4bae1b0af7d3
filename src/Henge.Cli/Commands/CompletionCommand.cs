using System.CommandLine;
using Henge.Cli.Context;
using Henge.Cli.Outcome;

namespace Henge.Cli.Commands;

/// <summary><c>henge completion SHELL</c>: scripts that ask the program itself what fits, so that they never grow old.</summary>
internal static class CompletionCommand
{
    // Each asks "henge [suggest:POSITION] LINE", a directive of the command-line library, which answers one suggestion a line.
    private const string Bash = """
        # henge: completion for bash. Use: source <(henge completion bash)
        _henge_complete() {
            local IFS=$'\n' word="${COMP_WORDS[COMP_CWORD]}"
            COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null)" -- "$word"))
        }
        complete -o default -F _henge_complete henge ./henge
        """;

    private const string Zsh = """
        #compdef henge
        # henge: completion for zsh. Use: source <(henge completion zsh)
        _henge() {
            local -a found
            found=("${(@f)$("${words[1]}" "[suggest:${CURSOR}]" "${BUFFER}" 2>/dev/null)}")
            compadd -a found
        }
        compdef _henge henge ./henge
        """;

    private const string Fish = """
        # henge: completion for fish. Use: henge completion fish | source
        function __henge_complete
            set -l line (commandline -cp)
            henge "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
        end
        complete -c henge -a '(__henge_complete)'
        """;

    private const string Pwsh = """
        # henge: completion for PowerShell. Use: henge completion pwsh | Out-String | Invoke-Expression
        Register-ArgumentCompleter -Native -CommandName henge -ScriptBlock {
            param($word, $line, $position)
            henge "[suggest:$position]" "$line" 2>$null | ForEach-Object {
                [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
            }
        }
        """;

    public static Command Create(CliContext context, GlobalOptions globals)
    {
        Argument<string> shell = new("shell") { Description = "bash, zsh, fish or pwsh." };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish", "pwsh");
        Command command = new("completion", "Print a script that completes commands and options in a shell.") { shell };
        command.Do(context, globals, (parse, _) =>
        {
            string script = parse.GetRequiredValue(shell) switch
            {
                "zsh" => Zsh,
                "fish" => Fish,
                "pwsh" => Pwsh,
                _ => Bash,
            };
            context.Output.WriteLine(script);
            return Task.FromResult(ExitCode.Ok);
        });
        return command.WithExamples("source <(henge completion bash)", "henge completion fish | source");
    }
}

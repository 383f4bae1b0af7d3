using Henge.Cli.Outcome;
using Henge.Cli.Output;
using Henge.Client;
using Henge.Client.Errors;
using Henge.Core;

namespace Henge.Cli.Context;

/// <summary>The streams, the environment and the clock of a command. Tests make their own.</summary>
internal sealed class CliContext
{
    /// <summary>Opens standard input; only commands that read it do.</summary>
    public required Func<Stream> OpenInput { get; init; }

    public required OutputWriter Output { get; init; }

    public required TextWriter Error { get; init; }

    /// <summary>True when standard output is a terminal, so that live displays make sense.</summary>
    public bool OutputIsTerminal { get; init; }

    /// <summary>True when standard error is a terminal, so that progress bars make sense.</summary>
    public bool ErrorIsTerminal { get; init; }

    /// <summary>Shows a prompt and reads what is typed, unseen; null: standard input is no terminal.</summary>
    public Func<string, string>? ReadSecret { get; init; }

    public Func<string, string?> Environment { get; init; } = System.Environment.GetEnvironmentVariable;

    /// <summary>The names of all environment variables.</summary>
    public Func<IEnumerable<string>> VariableNames { get; init; } =
        static () => System.Environment.GetEnvironmentVariables().Keys.Cast<string>();

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Runs a command's work and turns what it throws into a message on standard error and an exit code.</summary>
    public async Task<int> RunAsync(bool json, Func<Task<int>> work, CancellationToken cancellationToken)
    {
        try
        {
            int code = await work().ConfigureAwait(false);
            Output.Flush();
            return code;
        }
        catch (HengeException e)
        {
            string hint = e
                is UnavailableException
            {
                InnerException: AttemptFailedException { Outcome: AttemptOutcome.NothingDone, ConnectionFailed: true }
            }
                ? ConnectHint.Of(e)
                : e is UnauthenticatedException ? " The ways to say who you are: --user, --token-file, --tls-cert."
                : "";
            return Fail(
                json,
                ExitCode.Of(e.Code),
                e.Code.ToString(),
                (hint.Length > 0 && !e.Message.EndsWith('.') ? e.Message + "." : e.Message) + hint);
        }
        catch (UsageException e)
        {
            return Fail(json, ExitCode.Usage, "Usage", e.Message);
        }
        catch (ArgumentException e)
        {
            return Fail(json, ExitCode.Usage, "Usage", e.Message);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return Flush(json, ExitCode.Interrupted);
        }
        catch (OutputClosedException)
        {
            return ExitCode.OutputClosed;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Fail(json, ExitCode.File, "File", e.Message);
        }
    }

    /// <summary>Writes what waits to be written; returns the exit code given, or that of what went wrong with writing.</summary>
    public int Flush(bool json, int exitCode)
    {
        try
        {
            Output.Flush();
            return exitCode;
        }
        catch (OutputClosedException)
        {
            return ExitCode.OutputClosed;
        }
        catch (IOException e)
        {
            return Fail(json, ExitCode.File, "File", e.Message);
        }
    }

    /// <summary>Writes an error and returns its exit code.</summary>
    public int Fail(bool json, int exitCode, string code, string message)
    {
        int flushed = Flush(json, exitCode);
        if (flushed != exitCode)
        {
            return flushed;
        }

        Error.WriteLine(json
            ? JsonForm.ToText(j =>
            {
                j.WriteStartObject("error");
                j.WriteString("code", code);
                j.WriteString("message", message);
                j.WriteEndObject();
            })
            : "henge: " + message);
        Error.Flush();
        return exitCode;
    }
}

using Henge.Client;
using Henge.Core;

namespace Henge.Cli;

/// <summary>What a command sees of the world. Tests make their own.</summary>
internal sealed class CliContext
{
    public required Stream Input { get; init; }

    public required OutputWriter Output { get; init; }

    public required TextWriter Error { get; init; }

    /// <summary>True when standard output is a terminal, so that live displays make sense.</summary>
    public bool OutputIsTerminal { get; init; }

    /// <summary>True when standard error is a terminal, so that progress bars make sense.</summary>
    public bool ErrorIsTerminal { get; init; }

    public Func<string, string?> Environment { get; init; } = System.Environment.GetEnvironmentVariable;

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
            string hint = e is UnavailableException { InnerException: AttemptFailedException { Outcome: AttemptOutcome.NothingDone, ConnectionFailed: true } }
                ? " Is a node running there? Start some with: henge dev"
                : "";
            return Fail(json, ExitCode.Of(e.Code), e.Code.ToString(), e.Message + hint);
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
            Output.Flush();
            return ExitCode.Interrupted;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Fail(json, ExitCode.File, "File", e.Message);
        }
    }

    /// <summary>Writes an error and returns its exit code.</summary>
    public int Fail(bool json, int exitCode, string code, string message)
    {
        try
        {
            Output.Flush();
        }
        catch (IOException)
        {
            // Whoever read our output is gone; the error below is all that is left to say.
            return ExitCode.File;
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

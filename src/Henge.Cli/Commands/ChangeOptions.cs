using System.CommandLine;

namespace Henge.Cli.Commands;

/// <summary>The options that changes of a cluster have in common.</summary>
/// <param name="wait">What <c>--wait</c> waits for; null where there is nothing to wait for.</param>
/// <param name="force">What <c>--force</c> does; null where it does nothing.</param>
internal sealed class ChangeOptions(string? wait = null, string? force = null)
{
    /// <summary>Only show what it would come to.</summary>
    public Option<bool> DryRun { get; } = new("--dry-run") { Description = "Only show what it would come to." };

    /// <summary>Wait until it is finished.</summary>
    public Option<bool>? Wait { get; } = wait is null ? null : new("--wait")
    {
        Description = wait + " Ctrl-C ends the waiting, and nothing else.",
    };

    /// <summary>Do it all the same.</summary>
    public Option<bool>? Force { get; } = force is null ? null : new("--force") { Description = force };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(DryRun);
        if (Wait is not null)
        {
            command.Add(Wait);
        }

        if (Force is not null)
        {
            command.Add(Force);
        }
    }
}

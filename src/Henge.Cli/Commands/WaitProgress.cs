using Henge.Cli.Context;
using Spectre.Console;

namespace Henge.Cli.Commands;

/// <summary>Shows how far something is: a bar on a terminal, elsewhere a line when it has changed. Ends when disposed of.</summary>
internal sealed class WaitProgress : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(2);

    private readonly CliContext _context;
    private readonly Func<(int Left, string Text)> _read;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _shown;

    /// <summary>Begins to show.</summary>
    public WaitProgress(CliContext context, Func<(int Left, string Text)> read)
    {
        _context = context;
        _read = read;
        _shown = context.ErrorIsTerminal ? BarAsync() : LinesAsync();
    }

    private async Task LinesAsync()
    {
        string last = "";
        while (await WaitAsync(LineInterval).ConfigureAwait(false))
        {
            string text = _read().Text;
            if (text != last)
            {
                await _context.Error.WriteLineAsync(text).ConfigureAwait(false);
                last = text;
            }
        }
    }

    private async Task BarAsync()
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(_context.Error) });
        await console
            .Progress()
            .AutoClear(true)
            .HideCompleted(false)
            .Columns(new ProgressBarColumn(), new PercentageColumn(), new SpinnerColumn(), new TaskDescriptionColumn())
            .StartAsync(async progress =>
            {
                ProgressTask task = progress.AddTask("", maxValue: 1);
                int most = 1;
                do
                {
                    (int left, string text) = _read();
                    most = Math.Max(most, left);
                    task.MaxValue = most;
                    task.Value = most - left;
                    task.Description = Markup.Escape(text);
                }
                while (await WaitAsync(Interval).ConfigureAwait(false));
            }).ConfigureAwait(false);
    }

    private async Task<bool> WaitAsync(TimeSpan time)
    {
        try
        {
            await Task.Delay(time, _stop.Token).ConfigureAwait(false);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _shown.ConfigureAwait(false);
        _stop.Dispose();
    }
}

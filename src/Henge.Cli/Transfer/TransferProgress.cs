using System.Globalization;
using Henge.Cli.Context;
using Henge.Cli.Output;
using Spectre.Console;

namespace Henge.Cli.Transfer;

/// <summary>Shows how far a transfer is: a bar on a terminal, a line now and then elsewhere. Ends when disposed of.</summary>
internal sealed class TransferProgress : IAsyncDisposable
{
    private static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan BarInterval = TimeSpan.FromMilliseconds(200);

    private readonly CliContext _context;
    private readonly string _verb;
    private readonly long _total;
    private readonly Func<(long Bytes, long Records)> _read;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _shown;
    private readonly long _start;
    private readonly (long Bytes, long Records) _atStart;

    /// <summary>Begins to show. <paramref name="total"/> in bytes; 0: not known.</summary>
    public TransferProgress(CliContext context, string verb, long total, Func<(long Bytes, long Records)> read)
    {
        _context = context;
        _verb = verb;
        _total = total;
        _read = read;
        _start = context.Time.GetTimestamp();
        _atStart = read();
        _shown = context.ErrorIsTerminal ? BarAsync() : LinesAsync();
    }

    private async Task LinesAsync()
    {
        while (await WaitAsync(LineInterval).ConfigureAwait(false))
        {
            (long bytes, long records) = _read();
            string share = _total > 0 ? $" ({bytes * 100 / _total}%)" : "";
            await _context
                .Error.WriteLineAsync($"{_verb}: {Count(records)} records, {TextForm.OfSize((ulong)bytes)}{share}")
                .ConfigureAwait(false);
        }
    }

    private async Task BarAsync()
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(_context.Error) });
        await console
            .Progress()
            .AutoClear(true)
            .HideCompleted(false)
            .Columns(
                new TaskDescriptionColumn(),
                new ProgressBarColumn(),
                new PercentageColumn(),
                new TransferSpeedColumn(),
                new RemainingTimeColumn(),
                new SpinnerColumn())
            .StartAsync(async progress =>
            {
                ProgressTask task = progress.AddTask(_verb, maxValue: Math.Max(_total, 1));
                task.IsIndeterminate = _total == 0;
                do
                {
                    (long bytes, long records) = _read();
                    task.Description = $"{_verb} {Count(records)} records";
                    task.Value = _total > 0 ? Math.Min(bytes, _total) : 0;
                }
                while (await WaitAsync(BarInterval).ConfigureAwait(false));
            }).ConfigureAwait(false);
    }

    /// <summary>What it came to, in words.</summary>
    public string Summary()
    {
        (long bytes, long records) = _read();
        double seconds = Math.Max(_context.Time.GetElapsedTime(_start).TotalSeconds, 0.001);
        double rate = (records - _atStart.Records) / seconds;
        return $"{Count(records)} records, {TextForm.OfSize((ulong)bytes)} in {TextForm.OfDuration(TimeSpan.FromSeconds(seconds))} "
            + $"({rate.ToString("#,0", CultureInfo.InvariantCulture)} records/s)";
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

    private static string Count(long number) => number.ToString("#,0", CultureInfo.InvariantCulture);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _shown.ConfigureAwait(false);
        _stop.Dispose();
    }
}

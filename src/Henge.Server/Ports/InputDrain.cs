using System.IO.Pipelines;

namespace Henge.Server.Ports;

/// <summary>The end of a connection whose last word is an error.</summary>
internal static class InputDrain
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Takes what still comes, for a while, and keeps nothing of it: to close with bytes unread would reset the connection, and the error
    /// with it.
    /// </summary>
    public static async Task RunAsync(PipeReader input)
    {
        using CancellationTokenSource timeout = new(Patience);
        try
        {
            while (true)
            {
                ReadResult read = await input.ReadAsync(timeout.Token);
                input.AdvanceTo(read.Buffer.End);
                if (read.IsCompleted)
                {
                    return;
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or InvalidOperationException)
        {
            // It had its time.
            return;
        }
    }
}

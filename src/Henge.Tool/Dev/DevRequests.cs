using System.IO.Pipes;
using System.Security.Cryptography;
using System.Text;
using Henge.Cli.Outcome;

namespace Henge.Tool.Dev;

/// <summary>
/// How <c>henge dev add</c> reaches the <c>henge dev</c> that runs with the same data directory: a pipe of this user's, named by the
/// directory. A request is a line <c>add</c>, a line for each setting, and an empty one; the answer is one line, <c>ok</c> or <c>error</c>
/// and what there is to say, between tabs.
/// </summary>
internal static class DevRequests
{
    private const int MaxSettings = 64;
    private const int MaxLine = 4096;
    private static readonly TimeSpan ConnectTimeout = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan ReadTimeout = TimeSpan.FromSeconds(10);

    /// <summary>Answers requests, one at a time, until cancelled.</summary>
    /// <param name="dataDirectory">The data directory.</param>
    /// <param name="add">Adds a node with these settings. Throws <see cref="UsageException"/> to refuse.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task ServeAsync(
        string dataDirectory,
        Func<string[], CancellationToken, Task<DevNode>> add,
        CancellationToken cancellationToken)
    {
        while (true)
        {
            NamedPipeServerStream pipe = new(
                NameOf(dataDirectory),
                PipeDirection.InOut,
                maxNumberOfServerInstances: 1,
                PipeTransmissionMode.Byte,
                PipeOptions.Asynchronous | PipeOptions.CurrentUserOnly);
            await using (pipe.ConfigureAwait(false))
            {
                await pipe.WaitForConnectionAsync(cancellationToken).ConfigureAwait(false);
                try
                {
                    await AnswerAsync(pipe, add, cancellationToken).ConfigureAwait(false);
                }
                catch (Exception e) when (e is IOException or TimeoutException)
                {
                    // Whoever asked has gone; a node that was added stays.
                }
            }
        }
    }

    /// <summary>Has the running cluster add a node; the parts of its answer. Throws <see cref="UsageException"/>.</summary>
    public static async Task<string[]> AddAsync(string dataDirectory, IEnumerable<string> settings, CancellationToken cancellationToken)
    {
        NamedPipeClientStream pipe = new(
            ".",
            NameOf(dataDirectory),
            PipeDirection.InOut,
            PipeOptions.Asynchronous | PipeOptions.CurrentUserOnly);
        await using (pipe.ConfigureAwait(false))
        {
            try
            {
                await pipe.ConnectAsync(ConnectTimeout, cancellationToken).ConfigureAwait(false);
            }
            catch (TimeoutException)
            {
                throw new UsageException(
                    $"No henge dev runs with the data directory {dataDirectory}. Start one with henge dev, or name its directory with "
                        + "--data-dir.");
            }

            string request = string.Concat(settings.Prepend("add").Append("").Select(static line => line + "\n"));
            await pipe.WriteAsync(Encoding.UTF8.GetBytes(request), cancellationToken).ConfigureAwait(false);
            using StreamReader reader = new(pipe, Encoding.UTF8, leaveOpen: true);
            string[] parts = (await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false))?.Split('\t') ?? [];
            return parts.Length > 1 && parts[0] == "ok"
                ? parts[1..]
                : throw new UsageException(parts.Length > 1 ? parts[1] : "The henge dev that was asked ended before it answered.");
        }
    }

    private static async Task AnswerAsync(
        NamedPipeServerStream pipe,
        Func<string[], CancellationToken, Task<DevNode>> add,
        CancellationToken cancellationToken)
    {
        string answer;
        try
        {
            string[] settings = await ReadAsync(pipe, cancellationToken).ConfigureAwait(false);
            DevNode node = await add(settings, cancellationToken).ConfigureAwait(false);
            answer = $"ok\t{node.Name}\t{node.Address}\t{node.Id}\t{node.LogPath}";
        }
        catch (UsageException e)
        {
            answer = "error\t" + e.Message.ReplaceLineEndings(" ").Replace('\t', ' ');
        }

        await pipe.WriteAsync(Encoding.UTF8.GetBytes(answer + "\n"), cancellationToken).ConfigureAwait(false);
        await pipe.FlushAsync(cancellationToken).ConfigureAwait(false);
    }

    private static async Task<string[]> ReadAsync(NamedPipeServerStream pipe, CancellationToken cancellationToken)
    {
        using StreamReader reader = new(pipe, Encoding.UTF8, leaveOpen: true);
        List<string> lines = [];
        while (true)
        {
            string? line = await reader.ReadLineAsync(cancellationToken).AsTask().WaitAsync(ReadTimeout, cancellationToken)
                .ConfigureAwait(false);
            if (line is null || line.Length > MaxLine || lines.Count > MaxSettings)
            {
                throw new UsageException("The request cannot be read. Use the same build of henge as the henge dev that runs.");
            }

            if (line.Length == 0)
            {
                return lines.Count > 0 && lines[0] == "add"
                    ? [.. lines.Skip(1)]
                    : throw new UsageException("The henge dev that runs does not know this request. Use the same build of henge.");
            }

            lines.Add(line);
        }
    }

    private static string NameOf(string dataDirectory) =>
        "henge-dev-" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Path.GetFullPath(dataDirectory))).AsSpan(0, 8));
}

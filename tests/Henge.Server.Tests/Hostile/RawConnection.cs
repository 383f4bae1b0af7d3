using System.Net;
using System.Net.Sockets;
using System.Text;
using Henge.Server.Tests.Fakes;

namespace Henge.Server.Tests.Hostile;

/// <summary>A connection on which a test says what it likes.</summary>
internal sealed class RawConnection : IDisposable
{
    private readonly TcpClient _client = new() { NoDelay = true };

    public NetworkStream Stream { get; private set; } = null!;

    public static async Task<RawConnection> OpenAsync(IPEndPoint server)
    {
        RawConnection connection = new();
        await connection._client.ConnectAsync(server);
        connection.Stream = connection._client.GetStream();
        return connection;
    }

    /// <summary>All that a server says to something before it ends the connection by itself.</summary>
    public static async Task<string> AnswerAsync(IPEndPoint server, string text)
    {
        using RawConnection connection = await OpenAsync(server);
        await connection.SayAsync(text);
        return await connection.EndAsync();
    }

    public ValueTask SayAsync(string text) => Stream.WriteAsync(Encoding.Latin1.GetBytes(text));

    /// <summary>What comes until the other side ends the connection, which it has to do.</summary>
    public async Task<string> EndAsync()
    {
        using CancellationTokenSource patience = new(RunningServer.Patience);
        StringBuilder text = new();
        byte[] buffer = new byte[4096];
        try
        {
            int read;
            while ((read = await Stream.ReadAsync(buffer, patience.Token)) > 0)
            {
                text.Append(Encoding.Latin1.GetString(buffer, 0, read));
            }
        }
        catch (IOException)
        {
            // Cut rather than closed.
            return text.ToString();
        }

        return text.ToString();
    }

    public void Dispose() => _client.Dispose();
}

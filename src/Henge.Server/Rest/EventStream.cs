using Henge.Core;
using Henge.Node.Api;
using Henge.Server.Operations;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Rest;

/// <summary>
/// One stream of server-sent events: gathers what a <see cref="WatchPump"/> gives, and sends it when there is enough or no more.
/// </summary>
internal sealed class EventStream : IWatchOutput
{
    private const int EnoughBytes = 64 * 1024;

    private readonly HttpContext _context;
    private readonly EventStreamWriter _writer;
    private readonly EventBatch _batch;
    private byte[] _token = [];

    /// <param name="context">The request.</param>
    /// <param name="node">The node.</param>
    /// <param name="resumed">Where an earlier stream ended; null: there was none.</param>
    public EventStream(HttpContext context, IHengeNode node, EventPosition? resumed)
    {
        _context = context;
        _writer = new EventStreamWriter(node);
        _batch = new EventBatch(_writer, resumed);
    }

    /// <summary>Tells where the stream begins, and gives events until the reader is gone or events are lost to it.</summary>
    public async Task RunAsync(WatchPump pump)
    {
        WritePosition(pump.Watch);
        await SendAsync();
        try
        {
            await pump.RunAsync(this, _context.RequestAborted);
        }
        catch (HengeException e)
        {
            _writer.Error(e);
            await SendAsync();
        }
    }

    void IWatchReceiver.OnEvent(in WatchEventView watchEvent) => _batch.Add(watchEvent);

    ValueTask IWatchOutput.EnterAsync() => ValueTask.CompletedTask;

    bool IWatchOutput.OnRead(IWatch watch)
    {
        byte[] before = _token;
        _token = watch.ResumeToken;
        _batch.Write(before, _token);
        return _writer.Written.Length < EnoughBytes;
    }

    ValueTask IWatchOutput.SendAsync(IWatch watch, bool isQuiet)
    {
        if (isQuiet)
        {
            WritePosition(watch);
        }

        return SendAsync();
    }

    void IWatchOutput.Exit()
    {
    }

    private void WritePosition(IWatch watch)
    {
        _token = watch.ResumeToken;
        _writer.Position(_batch.Position(_token));
    }

    private async ValueTask SendAsync()
    {
        await _context.Response.Body.WriteAsync(_writer.Written, _context.RequestAborted);
        await _context.Response.Body.FlushAsync(_context.RequestAborted);
        _writer.Clear();
    }
}

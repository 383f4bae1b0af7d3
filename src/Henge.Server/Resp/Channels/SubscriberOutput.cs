using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Channels;

/// <summary>
/// The output of a connection, as those see it who push between its replies. One at a time writes to it: whoever has entered.
/// </summary>
/// <param name="writer">Writes into the output.</param>
/// <param name="output">The output.</param>
/// <param name="gate">Held by whoever writes.</param>
/// <param name="end">Cuts the connection, when a subscriber has not taken what was sent to it, or is gone.</param>
internal sealed class SubscriberOutput(RespWriter writer, RespOutput output, SemaphoreSlim gate, Action<Exception> end)
{
    /// <summary>Writes into the output; only for who has entered.</summary>
    public RespWriter Writer => writer;

    /// <summary>Bytes that the client has not taken.</summary>
    public long WaitingBytes => output.WaitingBytes;

    /// <summary>Waits for its turn to write.</summary>
    public Task EnterAsync() => gate.WaitAsync();

    /// <summary>Lets others write.</summary>
    public void Exit() => gate.Release();

    /// <summary>Sends what has been written. Does not wait: what the client does not take yet goes out later, within its bounds.</summary>
    public void Flush() => output.Flush();

    /// <summary>Where it stands, for <see cref="Rollback"/>.</summary>
    public (int Segments, int Length) Mark() => output.Mark();

    /// <summary>Takes back what was written since a mark and not flushed.</summary>
    public void Rollback((int Segments, int Length) mark) => output.Rollback(mark);

    /// <summary>Cuts the connection.</summary>
    public void End(Exception reason) => end(reason);
}

using System.Buffers;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using Henge.Server.Metrics;
using Microsoft.AspNetCore.Connections;

namespace Henge.Server.Ports;

/// <summary>
/// The first station of every connection of the public port: counts it, ends TLS, looks at its first bytes and hands it to its protocol.
/// Costs a connection one read; a request nothing.
/// </summary>
internal sealed class PortDispatcher(
    PortLimits limits,
    TlsUpgrade? tls,
    IReadOnlyList<IConnectionProtocol> protocols,
    HandoffListener http2,
    HandoffListener http1,
    ServerMetrics metrics,
    TimeProvider? time = null) : IDisposable
{
    private readonly IConnectionProtocol[] _protocols = [.. protocols];
    private readonly ConnectionCounter _counter = new(limits);
    private readonly InputBudget _input = new(limits.InputBytes);
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly ConcurrentDictionary<ConnectionContext, BudgetedInput> _served = [];
    private ITimer? _look;

    /// <summary>Connections that are open now.</summary>
    public int Open => _counter.Open;

    /// <summary>Bytes that have arrived and were not taken yet, as far as they are counted.</summary>
    public long InputBytes => _input.Used;

    /// <summary>Begins to end connections whose requests come too slowly.</summary>
    public void Start()
    {
        TimeSpan pause = TimeSpan.FromMilliseconds(Math.Clamp(limits.RequestTimeout.TotalMilliseconds / 8, 10, 10_000));
        _look = _time.CreateTimer(static all => ((PortDispatcher)all!).EndSlow(), this, pause, pause);
    }

    public void Dispose() => _look?.Dispose();

    public async Task RunAsync(ConnectionContext connection)
    {
        if (!_counter.TryEnter(connection.RemoteEndPoint, out bool isForPeers))
        {
            metrics.ConnectionRefused("limit");
            connection.Abort(new ConnectionAbortedException("Too many connections."));
            return;
        }

        metrics.ConnectionOpened();
        try
        {
            if (tls is null)
            {
                await DispatchAsync(connection, isForPeers);
            }
            else
            {
                await tls.RunAsync(connection, c => DispatchAsync(c, isForPeers));
            }
        }
        finally
        {
            _counter.Leave(connection.RemoteEndPoint);
            metrics.ConnectionClosed();
        }
    }

    private async Task DispatchAsync(ConnectionContext connection, bool isForPeers)
    {
        (FirstBytesVerdict verdict, int other) = await SniffAsync(connection);
        if (isForPeers && (verdict != FirstBytesVerdict.Other || !_protocols[other].IsBetweenNodes))
        {
            metrics.ConnectionRefused("limit");
            if (verdict == FirstBytesVerdict.Other)
            {
                await TellAsync(
                    connection,
                    _protocols[other],
                    $"the server has {limits.Connections} connections, which is its limit; close some, or raise limit-connections");
                return;
            }

            connection.Abort(new ConnectionAbortedException("Too many connections."));
            return;
        }

        switch (verdict)
        {
            case FirstBytesVerdict.Http2:
                TlsUpgrade.ClaimHttp2(connection);
                await http2.ServeAsync(connection);
                break;
            case FirstBytesVerdict.Http1:
                await http1.ServeAsync(connection);
                break;
            case FirstBytesVerdict.Other:
                await ServeAsync(connection, _protocols[other]);
                break;
            default:
                await RefuseAsync(connection);
                break;
        }
    }

    private async Task ServeAsync(ConnectionContext connection, IConnectionProtocol protocol)
    {
        if (protocol.IsBetweenNodes)
        {
            await protocol.RunAsync(connection);
            return;
        }

        IDuplexPipe outer = connection.Transport;
        using BudgetedInput input = new(outer.Input, _input, _time);
        connection.Transport = new InputPipe(input, outer.Output);
        _served.TryAdd(connection, input);
        try
        {
            await protocol.RunAsync(connection);
        }
        finally
        {
            _served.TryRemove(connection, out _);
            connection.Transport = outer;
        }

        if (input.IsRefused)
        {
            metrics.ConnectionRefused("memory");
            await TellAsync(
                connection,
                protocol,
                $"requests that are on their way take {_input.LimitBytes} bytes on all connections together, which is the limit; try again "
                    + $"later, or raise limit-input-memory");
            await InputDrain.RunAsync(outer.Input);
        }
    }

    private void EndSlow()
    {
        foreach ((ConnectionContext connection, BudgetedInput input) in _served)
        {
            if (input.WaitedForRest > limits.RequestTimeout && _served.TryRemove(connection, out _))
            {
                metrics.ConnectionRefused("slow");
                connection.Abort(new ConnectionAbortedException("A request has not come in time (request-timeout)."));
            }
        }
    }

    private static async Task TellAsync(ConnectionContext connection, IConnectionProtocol protocol, string message)
    {
        try
        {
            await connection.Transport.Output.WriteAsync(protocol.ErrorOf(message));
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or InvalidOperationException)
        {
            // The other side is gone, or the protocol has said its last word: nobody would read it.
            return;
        }
    }

    private async Task<(FirstBytesVerdict Verdict, int Other)> SniffAsync(ConnectionContext connection)
    {
        PipeReader input = connection.Transport.Input;
        using CancellationTokenSource timeout = new(limits.FirstBytesTimeout);
        try
        {
            while (true)
            {
                ReadResult read = await input.ReadAsync(timeout.Token);
                FirstBytesVerdict verdict = Judge(read.Buffer, out int other);
                bool undecided = verdict == FirstBytesVerdict.NeedMore && !read.IsCompleted;

                // Nothing is consumed: the protocol reads it all again. What is decided is not marked as examined either, so that its first
                // read does not wait for more.
                input.AdvanceTo(read.Buffer.Start, undecided ? read.Buffer.End : read.Buffer.Start);
                if (!undecided)
                {
                    return (read.Buffer.IsEmpty || verdict == FirstBytesVerdict.NeedMore ? FirstBytesVerdict.NeedMore : verdict, other);
                }
            }
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested)
        {
            metrics.ConnectionRefused("silent");
        }
        catch (Exception e) when (e is ConnectionResetException or ConnectionAbortedException or IOException)
        {
            metrics.ConnectionRefused("reset");
        }

        return (FirstBytesVerdict.NeedMore, -1);
    }

    private FirstBytesVerdict Judge(in ReadOnlySequence<byte> buffer, out int other)
    {
        if (buffer.FirstSpan.Length == buffer.Length || buffer.FirstSpan.Length >= PortLimits.SniffBytes)
        {
            ReadOnlySpan<byte> first = buffer.FirstSpan;
            return FirstBytes.Judge(first[..Math.Min(first.Length, PortLimits.SniffBytes)], _protocols, out other);
        }

        Span<byte> copy = stackalloc byte[PortLimits.SniffBytes];
        ReadOnlySequence<byte> head = buffer.Slice(0, Math.Min(buffer.Length, PortLimits.SniffBytes));
        head.CopyTo(copy);
        return FirstBytes.Judge(copy[..(int)head.Length], _protocols, out other);
    }

    private async Task RefuseAsync(ConnectionContext connection)
    {
        // What was silent or cut off gets no answer: nothing says in which language.
        try
        {
            if (connection.Transport.Input.TryRead(out ReadResult read))
            {
                bool spoke = !read.Buffer.IsEmpty;
                connection.Transport.Input.AdvanceTo(read.Buffer.End);
                if (spoke)
                {
                    metrics.ConnectionRefused("unknown");
                    await connection.Transport.Output.WriteAsync(
                        "Henge speaks gRPC (HTTP/2), HTTP/1.1, RESP, JSON lines and framed Thrift here; these first bytes are none of them.\r\n"u8.ToArray()
                    );
                }
            }
        }
        catch (Exception e) when (e is ConnectionResetException or ConnectionAbortedException or IOException)
        {
            metrics.ConnectionRefused("reset");
        }
    }
}

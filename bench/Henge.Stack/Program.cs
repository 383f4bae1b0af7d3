using System.Globalization;
using System.Net;
using Henge.Stack;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

// Henge.Stack PORT: answers RESP's GET and SET on loopback out of an array, on Kestrel as Henge sets it up, until it is told to end.
if (args.Length != 1 || !ushort.TryParse(args[0], NumberStyles.None, CultureInfo.InvariantCulture, out ushort port))
{
    await Console.Error.WriteLineAsync("Give the port to listen on, and nothing else.");
    return 2;
}

var kestrel = new KestrelServerOptions();
var keys = new ArrayOfValues();
kestrel.Listen(IPAddress.Loopback, port, listen => listen.Run(connection => new RespLoop(keys, connection.Transport).RunAsync()));
var sockets = new SocketTransportFactory(
    Options.Create(new SocketTransportOptions { Backlog = 1024, WaitForDataBeforeAllocatingBuffer = false }), NullLoggerFactory.Instance);
using var server = new KestrelServer(Options.Create(kestrel), sockets, NullLoggerFactory.Instance);
var stop = new TaskCompletionSource();
Console.CancelKeyPress += (_, cancel) =>
{
    cancel.Cancel = true;
    stop.TrySetResult();
};
using var term = System.Runtime.InteropServices.PosixSignalRegistration.Create(System.Runtime.InteropServices.PosixSignal.SIGTERM, signal =>
{
    signal.Cancel = true;
    stop.TrySetResult();
});
await server.StartAsync(new NoApplication(), CancellationToken.None);
await Console.Out.WriteLineAsync("ready");
await stop.Task;
await server.StopAsync(new CancellationToken(canceled: true));
return 0;

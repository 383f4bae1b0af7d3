using System.Globalization;
using System.Net;
using Henge.Stack;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

// Henge.Stack PORT: answers RESP's GET and SET on loopback out of an array, on Kestrel as Henge sets it up, and on the next port gRPC's Get
// with one value, on Grpc.AspNetCore without anything of Henge, until it is told to end. How many calls that were, GET /calls tells there.
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
WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
builder.WebHost.UseKestrelCore().ConfigureKestrel(grpc =>
{
    grpc.Limits.Http2.MaxStreamsPerConnection = 1024;
    grpc.Listen(IPAddress.Loopback, port + 1, listen => listen.Protocols = HttpProtocols.Http2);
});
builder.Services.AddRoutingCore();
builder.Services.AddGrpc();
builder.Services.AddSingleton<OneValue>();
await using WebApplication application = builder.Build();
application.MapGrpcService<OneValue>();
application.MapGet("/calls", context => context.Response.WriteAsync(OneValue.Calls.ToString(CultureInfo.InvariantCulture)));
await server.StartAsync(new NoApplication(), CancellationToken.None);
await application.StartAsync();
await Console.Out.WriteLineAsync("ready");
await stop.Task;
await server.StopAsync(new CancellationToken(canceled: true));
return 0;

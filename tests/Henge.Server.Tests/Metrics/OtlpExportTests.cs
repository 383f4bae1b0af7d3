using System.Buffers;
using System.Text;
using System.Threading.Channels;
using Henge.Node.Context;
using Henge.Server.Hosting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Tests.Metrics;

public sealed class OtlpExportTests
{
    [Fact]
    public async Task Metrics_arrive_at_a_collector()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        Channel<byte[]> received = Channel.CreateUnbounded<byte[]>();
        await using WebApplication collector = await StartCollectorAsync(received.Writer);
        string directory = Path.Combine(Path.GetTempPath(), "henge-otlp-" + Guid.NewGuid().ToString("N"));
        try
        {
            ServerOptions options = new()
            {
                Node = new NodeOptions { Name = "node-of-the-test", DataDirectory = directory },
                Door = new DoorOptions { Address = "127.0.0.1:0" },
                OtlpEndpoint = collector.Urls.Single(),
                OtlpInterval = TimeSpan.FromMilliseconds(200),
            };
            await using HengeHost host = await HengeHost.StartAsync(options, cancellationToken: cancel);
            using HttpClient http = new() { BaseAddress = new Uri($"http://{host.Server.EndPoint}") };
            using HttpResponseMessage health = await http.GetAsync("/healthz", cancel);
            using CancellationTokenSource patience = CancellationTokenSource.CreateLinkedTokenSource(cancel);
            patience.CancelAfter(TimeSpan.FromSeconds(30));

            // The request may come after the first export: until one has it.
            string[] wanted =
            [
                "henge",
                "node-of-the-test",
                "http.server.request.duration",
                "http.route",
                "henge.raft.entries.committed",
                "henge.log.size",
                "dotnet.gc.pause.time",
            ];
            await foreach (byte[] export in received.Reader.ReadAllAsync(patience.Token))
            {
                string text = Encoding.Latin1.GetString(export);
                if (wanted.All(w => text.Contains(w, StringComparison.Ordinal)))
                {
                    return;
                }
            }

            Assert.Fail("The collector ended.");
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    [Fact]
    public void An_address_that_is_no_URL_is_refused_with_what_is_wanted()
    {
        Core.HengeException e = Assert.Throws<Core.HengeException>(() =>
            ServerConfiguration.Load(new Dictionary<string, string> { ["otlp"] = "localhost:4317" }, null));
        Assert.Contains("http://127.0.0.1:4317", e.Message, StringComparison.Ordinal);
    }

    /// <summary>As much of an OTLP collector as an exporter needs: it takes MetricsService/Export and says that all is well.</summary>
    private static async Task<WebApplication> StartCollectorAsync(ChannelWriter<byte[]> received)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        WebApplication app = builder.Build();
        app.MapPost("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", async (HttpContext context) =>
        {
            using MemoryStream body = new();
            await context.Request.Body.CopyToAsync(body);
            context.Response.ContentType = "application/grpc";
            await context.Response.BodyWriter.WriteAsync(new byte[5]);
            context.Response.AppendTrailer("grpc-status", "0");
            await received.WriteAsync(body.ToArray());
        });
        await app.StartAsync();
        return app;
    }
}

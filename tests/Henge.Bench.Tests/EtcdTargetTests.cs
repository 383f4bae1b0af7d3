using System.Collections.Concurrent;
using Henge.Bench.Load;
using Henge.Bench.Targets;
using Henge.Client;
using Henge.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace Henge.Bench.Tests;

public sealed class EtcdTargetTests
{
    [Fact]
    public async Task What_is_put_is_found_and_what_is_not_is_missing()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        var store = new ConcurrentDictionary<string, byte[]>();
        await using WebApplication server = await StartAsync(store);
        await using EtcdTarget target = new([server.Urls.Single()["http://".Length..]], ReadConsistency.Default);
        await using ILoadConnection connection = await target.ConnectAsync(0, cancel);

        await connection.PutAsync("a"u8.ToArray(), "value"u8.ToArray(), cancel);

        Assert.Equal("value"u8.ToArray(), store["a"]);
        Assert.True(await connection.GetAsync("a"u8.ToArray(), cancel));
        Assert.False(await connection.GetAsync("b"u8.ToArray(), cancel));
    }

    [Fact]
    public async Task A_server_that_is_not_there_is_told_of_before_the_load()
    {
        await using EtcdTarget target = new(["127.0.0.1:1"], ReadConsistency.Default);
        HengeException e = await Assert.ThrowsAsync<HengeException>(() => target.ConnectAsync(0, TestContext.Current.CancellationToken));
        Assert.Equal(ErrorCode.Unavailable, e.Code);
        Assert.Contains("127.0.0.1:1", e.Message, StringComparison.Ordinal);
    }

    /// <summary>
    /// etcd as far as single keys go, read and written byte by byte: <c>0A n key 12 n value</c> in, <c>12 n {0A n key 2A n value}</c> out.
    /// </summary>
    private static async Task<WebApplication> StartAsync(ConcurrentDictionary<string, byte[]> store)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        WebApplication app = builder.Build();
        app.MapPost("/etcdserverpb.KV/{method}", async (string method, HttpContext context) =>
        {
            using MemoryStream body = new();
            await context.Request.Body.CopyToAsync(body);
            byte[] frame = body.ToArray();
            Assert.Equal(0x0A, frame[5]);
            string key = System.Text.Encoding.UTF8.GetString(frame, 7, frame[6]);
            byte[] message = [];
            if (method == "Put")
            {
                int at = 7 + frame[6];
                Assert.Equal(0x12, frame[at]);
                store[key] = frame[(at + 2)..(at + 2 + frame[at + 1])];
            }
            else if (store.TryGetValue(key, out byte[]? value))
            {
                byte[] pair = [0x0A, (byte)key.Length, .. System.Text.Encoding.UTF8.GetBytes(key), 0x2A, (byte)value.Length, .. value];
                message = [0x12, (byte)pair.Length, .. pair];
            }

            context.Response.ContentType = "application/grpc";
            await context.Response.BodyWriter.WriteAsync((byte[])[0, 0, 0, 0, (byte)message.Length, .. message]);
            context.Response.AppendTrailer("grpc-status", "0");
        });
        await app.StartAsync();
        return app;
    }
}

using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using Henge.Protocol.Grpc;
using Henge.Protocol.V1;

namespace Henge.Server.Cluster;

/// <summary>Asks other nodes for their status, as any client would. Thread-safe.</summary>
internal sealed class PeerStatusClient : IDisposable
{
    private const int LimitBytes = 4 * 1024 * 1024;

    private readonly HttpMessageInvoker _http = new(new SocketsHttpHandler
    {
        ConnectTimeout = TimeSpan.FromSeconds(1),
        PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1),
        UseProxy = false,
        AllowAutoRedirect = false,
    });

    /// <summary>The status of the node at an address. Throws <see cref="GrpcException"/>, <see cref="HttpRequestException"/> and <see cref="OperationCanceledException"/>.</summary>
    public async Task<StatusResponse> GetAsync(string address, string clusterId, bool tls, CancellationToken cancellation)
    {
        byte[] frame = new byte[GrpcFrame.PrefixBytes];
        using HttpRequestMessage request = new(HttpMethod.Post, $"{(tls ? "https" : "http")}://{address}/henge.v1.KVStore/NodeStatus")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteArrayContent(frame) { Headers = { ContentType = new MediaTypeHeaderValue(GrpcHeaders.ContentType) } },
        };
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        request.Headers.TryAddWithoutValidation(GrpcHeaders.HengeCluster, clusterId);
        using HttpResponseMessage response = await _http.SendAsync(request, cancellation);
        using Stream body = await response.Content.ReadAsStreamAsync(cancellation);
        byte[] prefix = new byte[GrpcFrame.PrefixBytes];
        StatusResponse status = new();
        if (await body.ReadAtLeastAsync(prefix, prefix.Length, throwOnEndOfStream: false, cancellation) == prefix.Length)
        {
            byte[] message = new byte[GrpcFrame.ReadPrefix(prefix, LimitBytes, out _)];
            await body.ReadExactlyAsync(message, cancellation);
            await body.CopyToAsync(Stream.Null, cancellation);
            status.MergeFrom(message);
        }

        string? code = First(response.TrailingHeaders) ?? First(response.Headers);
        if (First(response.Headers, GrpcHeaders.HengeError) == GrpcErrors.ToTrailer(Core.ErrorCode.Misconfigured))
        {
            throw new GrpcException(GrpcStatusCode.FailedPrecondition, "A node of another cluster answers there.", Core.ErrorCode.Misconfigured);
        }

        return code == "0"
            ? status
            : throw new GrpcException(GrpcStatusCode.Unavailable, $"It answered with gRPC status {code ?? "none"} (HTTP {((int)response.StatusCode).ToString(CultureInfo.InvariantCulture)}).");
    }

    public void Dispose() => _http.Dispose();

    private static string? First(HttpResponseHeaders headers, string name = GrpcHeaders.Status) =>
        headers.TryGetValues(name, out IEnumerable<string>? values) ? values.FirstOrDefault() : null;
}

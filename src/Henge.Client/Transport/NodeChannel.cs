using Grpc.Core;
using Grpc.Net.Client;

namespace Henge.Client.Transport;

/// <summary>The channel to one node. Thread-safe.</summary>
internal sealed class NodeChannel : IDisposable
{
    private readonly GrpcChannel _channel;
    private int _hasAnswered;

    /// <summary>Makes a channel; connects to nothing yet.</summary>
    public NodeChannel(string address, HengeClientOptions options, HttpClient http)
    {
        Address = address;
        _channel = GrpcChannel.ForAddress(
            (options.Tls is null ? "http://" : "https://") + address,
            new GrpcChannelOptions
            {
                // Not a handler: for each call on one the library asks its load balancer, of which there is nothing to balance here.
                HttpClient = http,
                DisposeHttpClient = false,
                DisableResolverServiceConfig = true,
                HttpVersion = new System.Version(2, 0),
                HttpVersionPolicy = HttpVersionPolicy.RequestVersionExact,
                MaxReceiveMessageSize = options.MaxReceiveMessageBytes,

                // Checked before a call begins, where it can be told as what it is.
                MaxSendMessageSize = null,

                // The library's decompression has no bound, and nodes compress only for those who can read it.
                CompressionProviders = [],
            });
        Invoker = _channel.CreateCallInvoker();
    }

    /// <summary>The node's <c>host:port</c>.</summary>
    public string Address { get; }

    /// <summary>Carries calls to it.</summary>
    public CallInvoker Invoker { get; }

    /// <summary>False as long as the node has not answered, and after its connection broke.</summary>
    public bool HasAnswered
    {
        get => Volatile.Read(ref _hasAnswered) != 0;
        set
        {
            int wanted = value ? 1 : 0;
            if (Volatile.Read(ref _hasAnswered) != wanted)
            {
                Volatile.Write(ref _hasAnswered, wanted);
            }
        }
    }

    /// <summary>Ends what is under way.</summary>
    public void Dispose() => _channel.Dispose();
}

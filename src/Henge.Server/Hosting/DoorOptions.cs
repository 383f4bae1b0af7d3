using Henge.Server.Calls;
using Henge.Server.Kv;
using Henge.Server.Ports;
using Henge.Server.Resp.Wire;
using Henge.Server.Tls;

namespace Henge.Server.Hosting;

/// <summary>Where a server listens, and its limits. The node's own limits are in <see cref="Henge.Node.Api.NodeLimits"/>.</summary>
public sealed record DoorOptions
{
    /// <summary>Host and port to listen on; port 0: any that is free.</summary>
    public required string Address { get; init; }

    /// <summary>A certificate with its chain (PEM, or PKCS#12 with its key); null: no TLS.</summary>
    public string? TlsCertificateFile { get; init; }

    /// <summary>The certificate's key (PEM), when it is not in the same file.</summary>
    public string? TlsKeyFile { get; init; }

    /// <summary>The authorities whose certificates nodes and users have (PEM); null: nobody is known by a certificate.</summary>
    public string? TlsAuthorityFile { get; init; }

    /// <summary>
    /// Whether clients need a certificate; null: they do where <see cref="TlsAuthorityFile"/> is set, and do not elsewhere.
    /// </summary>
    public TlsClientAuthentication? TlsClientAuthentication { get; init; }

    /// <summary>Listen openly, on an address that others reach, without TLS or without knowing who calls. For closed networks.</summary>
    public bool IsInsecure { get; init; }

    /// <summary>
    /// A file with a password that the user <c>root</c> is given when the node starts; empty: there is none. See docs/access.md.
    /// </summary>
    public string RootPasswordFile { get; init; } = "";

    /// <summary>
    /// The address of an OpenID Connect provider whose tokens are taken, over https or on this machine; empty: there is none.
    /// </summary>
    public string OidcAuthority { get; init; } = "";

    /// <summary>For whom the provider's tokens have to be (their <c>aud</c>).</summary>
    public string OidcAudience { get; init; } = "henge";

    /// <summary>The claim of the provider's tokens that has the user's name.</summary>
    public string OidcUserClaim { get; init; } = "sub";

    /// <summary>Limits on connections.</summary>
    public PortLimits Port { get; init; } = new();

    /// <summary>Limits of HTTP.</summary>
    public HttpLimits Http { get; init; } = new();

    /// <summary>Limits of gRPC.</summary>
    public GrpcLimits Grpc { get; init; } = new();

    /// <summary>Limits of RESP.</summary>
    public RespLimits Resp { get; init; } = new();

    /// <summary>Limits of single streams of the key-value service.</summary>
    public StreamLimits Streams { get; init; } = new();

    /// <summary>How long a stop waits for calls under way.</summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(10);
}

/// <summary>Limits of HTTP/1.1 and HTTP/2.</summary>
public sealed record HttpLimits
{
    /// <summary>
    /// Most HTTP/2 streams of one connection. Kestrel's own default of 100 makes callers queue in their client without a word; a unary call
    /// or an open watch is a stream.
    /// </summary>
    public int StreamsPerConnection { get; init; } = 1024;

    /// <summary>Flow-control window of a connection, in bytes: what its callers may have sent and the server not yet read.</summary>
    public int ConnectionWindowBytes { get; init; } = 1024 * 1024;

    /// <summary>Flow-control window of a stream, in bytes.</summary>
    public int StreamWindowBytes { get; init; } = 768 * 1024;

    /// <summary>Most bytes of a request's headers.</summary>
    public int HeaderBytes { get; init; } = 32 * 1024;

    /// <summary>Most headers of a request.</summary>
    public int HeaderCount { get; init; } = 100;

    /// <summary>How long a connection without calls stays open.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>How long a request's headers may take to arrive.</summary>
    public TimeSpan HeadersTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>After how long without a sign of life an HTTP/2 connection is pinged.</summary>
    public TimeSpan KeepAlivePingDelay { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long the answer to a ping may take before the connection is cut.</summary>
    public TimeSpan KeepAlivePingTimeout { get; init; } = TimeSpan.FromSeconds(20);
}

using System.Net.Security;
using Henge.Client.Settings;

namespace Henge.Client;

/// <summary>How a client reaches a cluster, and how patient it is. Not to be changed once a client has been made of it.</summary>
public sealed class HengeClientOptions
{
    /// <summary>
    /// Nodes to begin with, each <c>host:port</c>. One that answers is enough: the others are learnt from it. Empty means
    /// <c>127.0.0.1:7001</c>.
    /// </summary>
    public IList<string> Peers { get; set; } = [];

    /// <summary>How long a request may take with all its retries, when it does not say so itself. Default: 10 s.</summary>
    public TimeSpan DefaultDeadline { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long one attempt may take before another node is asked. Default: 1 s: longer than an election.
    /// Writes are repeated under their sequence number, so that an attempt given up too early does no harm.
    /// </summary>
    public TimeSpan AttemptTimeout { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>How long making a connection may take. Default: 2 s.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long to go on when not one node can be reached at all, which is rather a wrong address than an outage; at least until each node
    /// that is known was tried. Default: as long as the deadline allows.
    /// </summary>
    public TimeSpan UnreachableTimeout { get; set; } = TimeSpan.MaxValue;

    /// <summary>
    /// The id of the cluster that the client belongs to, as <c>henge cluster topology</c> shows it; nodes of any other refuse its calls
    /// before they look at them. Default: that of the first node that tells the client a topology.
    /// </summary>
    public string? ClusterId { get; set; }

    /// <summary>The consistency of reads that do not say so themselves. Default: as the node is set, which is linearizable.</summary>
    public ReadConsistency Consistency { get; set; }

    /// <summary>Wait before the first retry; it doubles with each, with jitter, up to <see cref="MaxBackoff"/>. Default: 10 ms.</summary>
    public TimeSpan InitialBackoff { get; set; } = TimeSpan.FromMilliseconds(10);

    /// <summary>Longest wait between retries. Default: 500 ms.</summary>
    public TimeSpan MaxBackoff { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// Bounds the load that retries add when a cluster is in trouble: a bucket of this many retries, refilled by a tenth of a retry for
    /// each request that succeeds and by a hundredth of the bucket each second. An empty bucket means that failures are reported at once.
    /// Default: 10,000. 0: never retry.
    /// </summary>
    public int RetryBudget { get; set; } = 10_000;

    /// <summary>
    /// Learn which node leads which shard and ask it directly. Default: true. Without it, requests go to <see cref="Peers"/> in turn, and
    /// nodes forward them, which costs a hop: right for programs that do one thing and end.
    /// </summary>
    public bool RouteToLeaders { get; set; } = true;

    /// <summary>
    /// Send gets, puts, deletes and transactions as batches over a few long-lived streams to each node. Default: true. Without it each is a
    /// call of its own.
    /// </summary>
    public bool UseSessions { get; set; } = true;

    /// <summary>
    /// Operations of this client on one key keep the order in which they were called, also when nobody waits for one before calling the
    /// next: a write begins when the writes to its key that were called before it have ended, and so does a read. Default: true. Without
    /// it, calls that overlap may take effect in any order, and many writes to one key travel together. A transaction counts as a write to
    /// all its keys. Scans and counts are not held back.
    /// </summary>
    public bool OrderByKey { get; set; } = true;

    /// <summary>Streams to each node when <see cref="UseSessions"/>. Default: 2.</summary>
    public int SessionsPerNode { get; set; } = 2;

    /// <summary>
    /// Most bytes of requests that wait for a node's streams; over it requests fail with ResourceExhausted. Default: 64 MiB.
    /// </summary>
    public int MaxPendingBytes { get; set; } = 64 * 1024 * 1024;

    /// <summary>Largest message accepted from a node, in bytes. Default: 16 MiB.</summary>
    public int MaxReceiveMessageBytes { get; set; } = 16 * 1024 * 1024;

    /// <summary>Largest message sent, in bytes; over it the request fails before anything is sent. Default: 16 MiB.</summary>
    public int MaxSendMessageBytes { get; set; } = 16 * 1024 * 1024;

    /// <summary>An idle connection is probed after this time. Default: 10 s.</summary>
    public TimeSpan KeepAliveInterval { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>A probed connection that stays silent for this time is dropped. Default: 5 s.</summary>
    public TimeSpan KeepAliveTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// TLS to the nodes; null means cleartext HTTP/2. An empty object means TLS with the machine's trusted roots. <see cref="HengeTls"/>
    /// makes one of a cluster's own authority and a user's certificate.
    /// </summary>
    public SslClientAuthenticationOptions? Tls { get; set; }

    /// <summary>The user that calls, with <see cref="Password"/>; null: whoever the client's certificate names, or nobody.</summary>
    public string? User { get; set; }

    /// <summary>The password of <see cref="User"/>. It goes with every call, and is neither logged nor part of an error.</summary>
    public string? Password { get; set; }

    /// <summary>
    /// A token that says who calls, as <see cref="HengeClient.CreateTokenAsync"/> or an OpenID Connect issuer gives it, in place of
    /// <see cref="User"/> and <see cref="Password"/>. It is neither logged nor part of an error.
    /// </summary>
    public string? Token { get; set; }

    /// <summary>
    /// Gives the token for a call, where tokens are renewed, in place of <see cref="Token"/>. It is asked at the beginning of every call
    /// and stream, and counts towards <see cref="AttemptTimeout"/>: it should keep its token until shortly before that ends. Called by
    /// several threads at once. What it throws is retried within the deadline.
    /// </summary>
    public Func<CancellationToken, ValueTask<string>>? TokenProvider { get; set; }

    /// <summary>
    /// Send passwords and tokens also without TLS to addresses that are not of this machine, where everybody on the way can read them.
    /// Default: false: such calls end with <see cref="MisconfiguredException"/> before anything is sent.
    /// </summary>
    public bool AllowInsecureCredentials { get; set; }

    /// <summary>Headers sent with every call, for proxies and the like. Names in lower case.</summary>
    public IDictionary<string, string> Metadata { get; } = new Dictionary<string, string>();

    /// <summary>Clock and timers; a seam for tests.</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;

    /// <summary>Throws <see cref="ArgumentException"/> with the name of the first setting that makes no sense.</summary>
    internal void Validate()
    {
        Positive(DefaultDeadline, nameof(DefaultDeadline));
        Positive(AttemptTimeout, nameof(AttemptTimeout));
        Positive(ConnectTimeout, nameof(ConnectTimeout));
        Positive(UnreachableTimeout, nameof(UnreachableTimeout));
        Positive(InitialBackoff, nameof(InitialBackoff));
        Positive(MaxBackoff, nameof(MaxBackoff));
        Positive(KeepAliveInterval, nameof(KeepAliveInterval));
        Positive(KeepAliveTimeout, nameof(KeepAliveTimeout));
        AtLeast(RetryBudget, 0, nameof(RetryBudget));
        AtLeast(SessionsPerNode, 1, nameof(SessionsPerNode));
        AtLeast(MaxPendingBytes, 1, nameof(MaxPendingBytes));
        AtLeast(MaxReceiveMessageBytes, 1, nameof(MaxReceiveMessageBytes));
        AtLeast(MaxSendMessageBytes, 1, nameof(MaxSendMessageBytes));
        foreach (string peer in Peers)
        {
            _ = PeerAddress.Parse(peer);
        }

        CredentialRules.Check(this);
    }

    private static void Positive(TimeSpan value, string name)
    {
        if (value <= TimeSpan.Zero)
        {
            throw new ArgumentException($"{name} is {value}, but must be more than zero.", name);
        }
    }

    private static void AtLeast(int value, int least, string name)
    {
        if (value < least)
        {
            throw new ArgumentException($"{name} is {value}, but must be at least {least}.", name);
        }
    }
}

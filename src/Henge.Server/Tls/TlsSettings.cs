namespace Henge.Server.Tls;

/// <summary>Whether clients are asked for a certificate.</summary>
public enum TlsClientAuthentication
{
    /// <summary>Clients need none. One that they show must be good all the same, since nodes come by the same port.</summary>
    None,
    /// <summary>A client may show one, and is known by it then.</summary>
    Optional,
    /// <summary>A client without one is refused before it has said anything.</summary>
    Require,
}

/// <summary>Which files a node's TLS is made of.</summary>
internal sealed record TlsSettings
{
    /// <summary>The certificate with its chain (PEM, or PKCS#12 with its key).</summary>
    public required string CertificateFile { get; init; }

    /// <summary>The certificate's key (PEM); null: in the same file.</summary>
    public string? KeyFile { get; init; }

    /// <summary>The authorities of nodes and users (PEM); null: nobody is known by a certificate.</summary>
    public string? AuthorityFile { get; init; }

    /// <summary>What is asked of clients.</summary>
    public TlsClientAuthentication ClientAuthentication { get; init; }

    /// <summary>The node has others to speak with, which its certificate must satisfy.</summary>
    public bool IsForPeers { get; init; }

    /// <summary>All files.</summary>
    public IEnumerable<string> Files => ((string?[])[CertificateFile, KeyFile, AuthorityFile]).OfType<string>();
}

using System.Net;
using Henge.Core;
using Henge.Server.Tls;

namespace Henge.Server.Hosting;

/// <summary>
/// The rule (docs/decisions/0206-no-open-port-by-accident.md): where others reach a node, it has TLS and knows who calls, or was told to do
/// without. And what the settings of TLS come to together.
/// </summary>
internal static class SecuritySettings
{
    /// <summary>
    /// The files of TLS; null: there is none. Throws <see cref="HengeException"/> (Misconfigured) for settings that do not fit together.
    /// </summary>
    /// <param name="door">The settings of the door.</param>
    /// <param name="isForPeers">The node has others to speak with.</param>
    public static TlsSettings? TlsOf(DoorOptions door, bool isForPeers = false)
    {
        bool asks = door.TlsClientAuthentication is TlsClientAuthentication.Optional or TlsClientAuthentication.Require;
        if (Given(door.TlsCertificateFile) is not { } certificate)
        {
            string? alone = Given(door.TlsKeyFile) is not null ? "tls-key"
                : Given(door.TlsAuthorityFile) is not null ? "tls-ca"
                : asks ? "tls-client-auth"
                : null;
            return alone is null
                ? null
                : throw Wrong($"--{alone} is set and --tls-cert is not. Name the node's certificate too, or leave it out.");
        }

        string? authority = Given(door.TlsAuthorityFile);
        if (authority is null && asks)
        {
            throw Wrong("--tls-client-auth asks for certificates, and --tls-ca does not say whose. Name the authorities of users.");
        }

        if (authority is null && isForPeers)
        {
            throw Wrong(
                "--tls-cert is set, the node has others to speak with, and --tls-ca is not set: nodes know each other by an authority of "
                    + "their own. Name its certificate with --tls-ca; henge cert makes one.");
        }

        return new TlsSettings
        {
            CertificateFile = certificate,
            KeyFile = Given(door.TlsKeyFile),
            AuthorityFile = authority,
            ClientAuthentication = door.TlsClientAuthentication
                ?? (authority is null ? TlsClientAuthentication.None : TlsClientAuthentication.Require),
            IsForPeers = isForPeers,
        };
    }

    /// <summary>
    /// Refuses to listen openly. Throws <see cref="HengeException"/> (Misconfigured) with the three ways out.
    /// </summary>
    /// <param name="door">The settings of the door.</param>
    /// <param name="listens">Where it would listen.</param>
    /// <param name="tls">Its TLS; null: none.</param>
    /// <param name="knowsCallers">Something else than certificates makes callers say who they are.</param>
    public static void CheckListening(DoorOptions door, IPAddress listens, TlsSettings? tls, bool knowsCallers = false)
    {
        IPAddress address = listens.IsIPv4MappedToIPv6 ? listens.MapToIPv4() : listens;
        knowsCallers |= tls?.ClientAuthentication == TlsClientAuthentication.Require;
        if (IPAddress.IsLoopback(address) || door.IsInsecure || (tls is not null && knowsCallers))
        {
            return;
        }

        string missing = tls is null ? "without TLS, and without knowing who calls" : "without knowing who calls";
        throw Wrong(
            $"The node would listen on {door.Address}, where others reach it, {missing}. There are three ways out. (1) In a minute: henge "
                + "cert create-ca, henge cert create-node HOST and henge cert create-client USER make certificates; start the node with "
                + "--tls-cert, --tls-key and --tls-ca. (2) Name your own certificates by the same settings. (3) --insecure, where nobody "
                + "but trusted programs reaches the network. On a loopback address none of this is needed. docs/security.md says more.");
    }

    private static string? Given(string? file) => string.IsNullOrEmpty(file) ? null : file;

    private static HengeException Wrong(string message) => new(ErrorCode.Misconfigured, message);
}

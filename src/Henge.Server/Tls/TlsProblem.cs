using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Henge.Core;

namespace Henge.Server.Tls;

/// <summary>Says in words why the other end of a connection is not the node that it should be. Pure functions.</summary>
internal static class TlsProblem
{
    /// <summary>What is wrong with the certificate of a node that was called; null: nothing.</summary>
    public static string? Of(X509Certificate2? certificate, X509Chain? chain, SslPolicyErrors errors, string host)
    {
        if (certificate is null)
        {
            return "it showed no certificate";
        }

        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors))
        {
            return $"its certificate ({certificate.Subject}) is not one of this cluster: {Describe(chain)}";
        }

        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
        {
            return $"its certificate is not good for {host}. Make one that names this address: henge cert create-node {host}";
        }

        return errors != SslPolicyErrors.None ? $"its certificate was refused: {errors}"
            : !CertificateIdentity.IsNode(certificate) ? $"its certificate is no node's ({certificate.Subject})"
            : null;
    }

    /// <summary>What is wrong with a chain.</summary>
    public static string Describe(X509Chain? chain) =>
        chain is null || chain.ChainStatus.Length == 0
            ? "no authority has signed it"
            : string.Join(
                ", ",
                chain.ChainStatus.Select(static s => s.StatusInformation.Trim().TrimEnd('.')).Distinct(StringComparer.Ordinal));
}

using System.Net.Security;
using System.Security.Authentication;

namespace Henge.Server.Tls;

/// <summary>
/// Speaks TLS with other nodes: shows this node's certificate, and takes nobody for a node but who has one of the cluster's authority that
/// is good for the address called. Thread-safe.
/// </summary>
internal sealed class TlsConnector(TlsFiles files)
{
    /// <summary>
    /// Begins TLS on a connection, which belongs to the result from then on. Throws <see cref="AuthenticationException"/> that says what is
    /// wrong with the other end, or what the connection throws.
    /// </summary>
    /// <param name="inner">The connection.</param>
    /// <param name="host">The address or name that was called, without the port.</param>
    /// <param name="protocol">What will be spoken, for the handshake; null: what has no name there.</param>
    /// <param name="cancellation">Gives up.</param>
    public async Task<SslStream> ConnectAsync(
        Stream inner,
        string host,
        SslApplicationProtocol? protocol,
        CancellationToken cancellation)
    {
        SslStream stream = new(inner, leaveInnerStreamOpen: false);
        string? problem = null;
        try
        {
            TlsMaterial material = files.Current;
            if (material.Authorities.Count == 0)
            {
                throw new AuthenticationException("this node knows no authority of nodes; name it with --tls-ca");
            }

            await stream.AuthenticateAsClientAsync(material.ForClient(host, protocol, found => problem = found), cancellation)
                .ConfigureAwait(false);
            return stream;
        }
        catch (AuthenticationException e) when (problem is not null)
        {
            await stream.DisposeAsync().ConfigureAwait(false);
            throw new AuthenticationException(problem, e);
        }
        catch
        {
            await stream.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}

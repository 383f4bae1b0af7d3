using System.Net.Sockets;
using System.Security.Authentication;

namespace Henge.Cli.Context;

/// <summary>What to try when no node could be connected to, by what went wrong.</summary>
internal static class ConnectHint
{
    private const string NobodyThere = " Is a node running there? Start some with: henge dev";

    /// <summary>The hint, with a space before it.</summary>
    public static string Of(Exception failure)
    {
        for (Exception? e = failure; e is not null; e = e.InnerException)
        {
            if (e is SocketException or OperationCanceledException or TimeoutException)
            {
                return NobodyThere;
            }

            if (e is AuthenticationException)
            {
                return " Trust the authority of the nodes with --tls-ca, and call them by an address that their certificate names.";
            }

            if (e is HttpIOException
                or HttpRequestException
                {
                    HttpRequestError: not (HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
                        or HttpRequestError.SecureConnectionError)
                })
            {
                return " Something is there that does not answer so: the node may speak TLS (--tls-ca), or want a certificate "
                    + "(--tls-cert, --tls-key).";
            }
        }

        return NobodyThere;
    }
}

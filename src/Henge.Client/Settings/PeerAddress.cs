using System.Globalization;

namespace Henge.Client.Settings;

/// <summary>An address of a node as users write it: <c>host:port</c>, <c>[v6]:port</c>, or a host alone with the default port.</summary>
internal static class PeerAddress
{
    /// <summary>The port when none is given.</summary>
    public const int DefaultPort = 7001;

    /// <summary>The address of a node that was started without saying one.</summary>
    public const string Default = "127.0.0.1:7001";

    /// <summary>True for an address of this machine itself, by what it says; no name is looked up but localhost.</summary>
    public static bool IsLoopback(string text) => new Uri("http://" + Parse(text)).IsLoopback;

    /// <summary>False for what is no address; nodes' own words are checked with this.</summary>
    public static bool TryParse(string? text, out string address)
    {
        address = "";
        if (string.IsNullOrEmpty(text) || text.Length > 300)
        {
            return false;
        }

        try
        {
            address = Parse(text);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    /// <summary>Gives it in the form <c>host:port</c>. Throws <see cref="ArgumentException"/> with what is wrong.</summary>
    public static string Parse(string text)
    {
        string trimmed = text.Trim();
        int colon = trimmed.LastIndexOf(':');
        string host = trimmed;
        int port = DefaultPort;
        bool bareIpV6 = trimmed.IndexOf(':') != colon && !trimmed.StartsWith('[');
        if (colon >= 0 && !bareIpV6 && !trimmed.EndsWith(']'))
        {
            host = trimmed[..colon];
            if (!int.TryParse(trimmed.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port) || port is 0 or > 65535)
            {
                throw new ArgumentException(
                    $"\"{text}\" is not an address: the port must be a number from 1 to 65535, as in 127.0.0.1:7001.");
            }
        }

        if (bareIpV6)
        {
            host = "[" + host + "]";
        }

        if (Uri.CheckHostName(host.Trim('[', ']')) == UriHostNameType.Unknown)
        {
            throw new ArgumentException($"\"{text}\" is not an address: write host:port, as in 127.0.0.1:7001.");
        }

        return host + ":" + port.ToString(CultureInfo.InvariantCulture);
    }
}

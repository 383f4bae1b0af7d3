using System.Text;
using Henge.Client.Errors;
using Henge.Client.Settings;
using Henge.Core;

namespace Henge.Client.Transport;

/// <summary>The header by which calls say who calls, and to whom it may be sent. Thread-safe.</summary>
internal sealed class NodeCredentials
{
    private readonly string? _fixed;
    private readonly Func<CancellationToken, ValueTask<string>>? _provider;
    private readonly bool _insecure;
    private Given? _last;

    private NodeCredentials(string? header, Func<CancellationToken, ValueTask<string>>? provider, bool insecure)
    {
        _fixed = header;
        _provider = provider;
        _insecure = insecure;
    }

    /// <summary>Those of a client; null when its calls do not say who calls.</summary>
    public static NodeCredentials? Of(HengeClientOptions options)
    {
        string? header =
            options.User is not null
                ? "Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes(options.User + ":" + options.Password))
            : options.Token is not null ? "Bearer " + options.Token
            : null;
        return header is null && options.TokenProvider is null
            ? null
            : new NodeCredentials(header, options.TokenProvider, options.AllowInsecureCredentials);
    }

    /// <summary>
    /// The header's value for a call to a node. Throws <see cref="AttemptFailedException"/>, and then nothing must be sent.
    /// </summary>
    public ValueTask<string> HeaderAsync(Uri node, CancellationToken cancellationToken)
    {
        if (!_insecure && !node.IsLoopback && node.Scheme != Uri.UriSchemeHttps)
        {
            throw Wrong(
                $"A password or a token is not sent to {node.Authority} without TLS, where everybody on the way can read it. "
                    + $"Set {nameof(HengeClientOptions.Tls)}, or {nameof(HengeClientOptions.AllowInsecureCredentials)} in a network that is "
                    + "protected in another way.");
        }

        return _fixed is { } known ? new ValueTask<string>(known) : ProvidedAsync(cancellationToken);
    }

    private async ValueTask<string> ProvidedAsync(CancellationToken cancellationToken)
    {
        string token;
        try
        {
            token = await _provider!(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new AttemptFailedException(
                ErrorCode.Unavailable,
                $"{nameof(HengeClientOptions.TokenProvider)} failed: {e.Message}",
                AttemptOutcome.NothingDone,
                inner: e);
        }

        Given? last = Volatile.Read(ref _last);
        if (last is null || last.Token != token)
        {
            if (!CredentialRules.IsToken(token))
            {
                throw Wrong(
                    $"{nameof(HengeClientOptions.TokenProvider)} gave what is not a token: it must be visible ASCII without spaces.");
            }

            last = new Given(token, "Bearer " + token);
            Volatile.Write(ref _last, last);
        }

        return last.Header;
    }

    private static AttemptFailedException Wrong(string message) => new(ErrorCode.Misconfigured, message, AttemptOutcome.NothingDone);

    // No record: its text would hold them.
    private sealed class Given(string token, string header)
    {
        public string Token { get; } = token;

        public string Header { get; } = header;
    }
}

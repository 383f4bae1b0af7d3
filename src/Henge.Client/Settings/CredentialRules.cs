using Henge.Protocol.Grpc;

namespace Henge.Client.Settings;

/// <summary>Which settings that say who calls go together. Pure functions; no message holds a secret.</summary>
internal static class CredentialRules
{
    /// <summary>Throws <see cref="ArgumentException"/> with the name of the first setting that makes no sense.</summary>
    public static void Check(HengeClientOptions options)
    {
        bool byPassword = options.User is not null || options.Password is not null;
        int ways = (byPassword ? 1 : 0) + (options.Token is not null ? 1 : 0) + (options.TokenProvider is not null ? 1 : 0);
        if (ways > 1)
        {
            throw Wrong(
                $"Set {nameof(options.User)} and {nameof(options.Password)}, or {nameof(options.Token)}, or "
                    + $"{nameof(options.TokenProvider)}: a call says in one way who calls.",
                nameof(options.Token));
        }

        if (byPassword)
        {
            CheckUser(options.User);
            if (string.IsNullOrEmpty(options.Password))
            {
                throw Wrong(
                    $"{nameof(options.User)} is set without {nameof(options.Password)}. A user of a certificate is not named here.",
                    nameof(options.Password));
            }
        }

        if (options.Token is { } token && !IsToken(token))
        {
            throw Wrong($"{nameof(options.Token)} is not a token: it must be visible ASCII without spaces.", nameof(options.Token));
        }

        if (ways > 0 && options.Metadata.Keys.Any(static k => k.Equals(GrpcHeaders.Authorization, StringComparison.OrdinalIgnoreCase)))
        {
            throw Wrong(
                $"{nameof(options.Metadata)} holds the header {GrpcHeaders.Authorization}, which another setting makes.",
                nameof(options.Metadata));
        }
    }

    /// <summary>True for what can stand in a header behind <c>Bearer</c>.</summary>
    public static bool IsToken(string? text) => !string.IsNullOrEmpty(text) && text.All(static c => c is > ' ' and <= '~');

    private static void CheckUser(string? user)
    {
        if (string.IsNullOrEmpty(user))
        {
            throw Wrong($"{nameof(HengeClientOptions.Password)} is set, and no {nameof(HengeClientOptions.User)} that it is of.", "User");
        }

        // A colon ends the name (RFC 7617).
        if (user.Any(static c => c == ':' || char.IsControl(c)))
        {
            throw Wrong($"{nameof(HengeClientOptions.User)} must not have colons or control characters.", "User");
        }
    }

    private static ArgumentException Wrong(string message, string name) => new(message, name);
}

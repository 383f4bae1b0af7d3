using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net.Security;
using Henge.Cli.Outcome;
using Henge.Cli.Parsing;
using Henge.Client;
using Henge.Client.Settings;
using Henge.Core;

namespace Henge.Cli.Context;

/// <summary>The options that every command has.</summary>
internal sealed class GlobalOptions
{
    private readonly CliContext _context;
    private readonly SignInOptions _signIn;

    public GlobalOptions(CliContext context)
    {
        _context = context;
        _signIn = new SignInOptions(context);
    }

    /// <summary>The environment variables that commands read.</summary>
    public static IReadOnlyList<string> Variables { get; } =
        [
            "HENGE_PEERS", "HENGE_TLS", "HENGE_TLS_CA", "HENGE_TLS_CERT", "HENGE_TLS_KEY", "HENGE_CONFIG", .. SignInOptions.Variables,
        ];

    public Option<string?> Peers { get; } = new("--peers", "-p")
    {
        Description = "Nodes to ask, as host:port,host:port (or set HENGE_PEERS). One that answers is enough. [default: 127.0.0.1:7001]",
        HelpName = "addresses",
        Recursive = true,
    };

    public Option<string> Output { get; } = OneOf("--output", "Form of the output.", "text", "json", "-o");

    public Option<string?> TimeoutText { get; } = new("--timeout")
    {
        Description = "How long to try, as 500ms or 5s. [default: 10s]",
        HelpName = "time",
        Recursive = true,
    };

    public Option<bool> Tls { get; } = new("--tls")
    {
        Description = "Speak TLS with the nodes (or set HENGE_TLS=1).",
        Recursive = true,
    };

    public Option<string?> TlsCa { get; } = new("--tls-ca")
    {
        Description = "Trust certificates signed by these (PEM), in place of the machine's roots (or set HENGE_TLS_CA). Means --tls.",
        HelpName = "file",
        Recursive = true,
    };

    public Option<string?> TlsCert { get; } = new("--tls-cert")
    {
        Description = "The certificate to show (PEM): the user's, of a node for serve (or set HENGE_TLS_CERT). Means --tls.",
        HelpName = "file",
        Recursive = true,
    };

    public Option<string?> TlsKey { get; } = new("--tls-key")
    {
        Description = "The key of --tls-cert (PEM), when it is not in the same file (or set HENGE_TLS_KEY).",
        HelpName = "file",
        Recursive = true,
    };

    /// <summary>The option of a setting of nodes that all commands have as well; null: they have none of this name.</summary>
    public Option<string?>? OfSetting(string name) => name switch
    {
        "tls-ca" => TlsCa,
        "tls-cert" => TlsCert,
        "tls-key" => TlsKey,
        _ => null,
    };

    /// <summary>Adds them to the root, from where all commands inherit them.</summary>
    public void AddTo(Command root)
    {
        root.Add(Peers);
        root.Add(Output);
        root.Add(TimeoutText);
        root.Add(Tls);
        root.Add(TlsCa);
        root.Add(TlsCert);
        root.Add(TlsKey);
        _signIn.AddTo(root);
    }

    /// <summary>True with <c>--output json</c>.</summary>
    public bool IsJson(ParseResult parse) => parse.GetValue(Output) == "json";

    /// <summary>The deadline that the user gave; null: the default.</summary>
    public TimeSpan? Timeout(ParseResult parse)
    {
        if (parse.GetValue(TimeoutText) is not { } text)
        {
            return null;
        }

        TimeSpan timeout = Durations.Parse(text);
        return timeout > TimeSpan.Zero ? timeout : throw new UsageException("--timeout must be more than zero.");
    }

    /// <summary>The addresses of the nodes.</summary>
    public string[] PeerList(ParseResult parse)
    {
        string text = parse.GetValue(Peers) ?? _context.Environment("HENGE_PEERS") ?? "127.0.0.1:7001";
        string[] peers = text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return peers.Length > 0 ? peers : throw new UsageException("--peers names no node; write host:port, as in 127.0.0.1:7001.");
    }

    /// <summary>
    /// A client. <paramref name="shortLived"/>: for a command that asks once and ends, which would gain nothing from learning who leads
    /// what.
    /// </summary>
    /// <param name="parse">The command line.</param>
    /// <param name="shortLived">See above.</param>
    /// <param name="others">Where nodes are that the command has learnt of.</param>
    public HengeClient Connect(ParseResult parse, bool shortLived = true, IEnumerable<string>? others = null)
    {
        HengeClientOptions options = new()
        {
            Peers = [.. PeerList(parse).Union(others ?? [])],
            RouteToLeaders = !shortLived,
            UseSessions = !shortLived,
            UnreachableTimeout = TimeSpan.FromSeconds(2),
            TimeProvider = _context.Time,
            Tls = TlsOf(parse),
        };
        if (Timeout(parse) is { } timeout)
        {
            options.DefaultDeadline = timeout;
            options.ConnectTimeout = timeout < options.ConnectTimeout ? timeout : options.ConnectTimeout;
        }

        SignIn(parse, options);
        return new HengeClient(options);
    }

    /// <summary>Sets who calls. Throws <see cref="UsageException"/>.</summary>
    public void SignIn(ParseResult parse, HengeClientOptions options)
    {
        _signIn.Apply(parse, options);
        bool says = options.User is not null || options.Token is not null;
        if (says && options.Tls is null && options.Peers.FirstOrDefault(static p => !PeerAddress.IsLoopback(p)) is { } far)
        {
            throw new UsageException(
                $"A password or a token is not sent to {far} without TLS, where everybody on the way can read it. Speak TLS: --tls, --tls-ca.");
        }
    }

    /// <summary>How to speak TLS with the nodes; null: not at all. Throws <see cref="UsageException"/>.</summary>
    public SslClientAuthenticationOptions? TlsOf(ParseResult parse)
    {
        string? authority = Given(TlsCa, "HENGE_TLS_CA");
        string? certificate = Given(TlsCert, "HENGE_TLS_CERT");
        string? key = Given(TlsKey, "HENGE_TLS_KEY");
        if (authority is null && certificate is null && key is null)
        {
            return parse.GetValue(Tls) || _context.Environment("HENGE_TLS") is "1" or "true" ? new() : null;
        }

        try
        {
            return HengeTls.FromFiles(authority, certificate, key);
        }
        catch (HengeException e)
        {
            throw new UsageException(e.Message);
        }

        string? Given(Option<string?> option, string variable) =>
            (parse.GetValue(option) ?? _context.Environment(variable)) is { Length: > 0 } file ? file : null;
    }

    /// <summary>An option with a few words to choose from; the first is the default.</summary>
    public static Option<string> OneOf(string name, string description, string first, string second, params string[] more)
    {
        string[] aliases = [.. more.Where(m => m.StartsWith('-'))];
        string[] words = [first, second, .. more.Where(m => !m.StartsWith('-'))];
        Option<string> option = new(name, aliases)
        {
            Description = description,
            HelpName = string.Join('|', words),
            DefaultValueFactory = _ => first,
            Recursive = name == "--output",
        };
        option.AcceptOnlyFromAmong(words);
        return option;
    }
}

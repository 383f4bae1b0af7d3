using System.Globalization;
using System.Text;
using Henge.Node.Api;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Commands;

/// <summary>Commands about the connection and the server, and transactions.</summary>
internal static class ConnectionCommands
{
    private const string Version = "7.0.0";

    public static IEnumerable<RespCommand> All =>
    [
        new LocalCommand("ping", -1, Ping) { AllowedToSubscribers = true },
        new LocalCommand("echo", 2, static (_, a, w) => w.Bulk(a.Span(1))),
        new SlowCommand("auth", -2, AuthCommand.RunAsync) { IsForStrangers = true },
        new LocalCommand("select", 2, Select) { Ahead = static (c, a) => c.Database.Select(a) },
        new LocalCommand("client", -2, ClientCommand.Run),
        new LocalCommand("command", -1, CommandCommand.Run),
        new LocalCommand("info", -1, Info),
        new LocalCommand("time", 1, Time),
        new SlowCommand("hello", -1, Hello) { IsForStrangers = true },
        new SlowCommand("quit", -1, static (c, _, w) => Do(() => { c.Quit = true; w.Ok(); }))
        {
            AllowedToSubscribers = true,
            IsForStrangers = true,
        },
        new SlowCommand("reset", 1, static (c, _, w) => Do(() => Reset(c, w))) { AllowedToSubscribers = true, IsForStrangers = true },
        new SlowCommand("acl", -2, AclCommand.RunAsync),
        new SlowCommand("multi", 1, static (c, _, w) => Do(() => c.Transaction.Multi(w))),
        new SlowCommand("discard", 1, static (c, _, w) => Do(() => c.Transaction.Discard(w))),
        new SlowCommand("exec", 1, static (c, _, w) => c.Transaction.ExecAsync(w)),
        new SlowCommand("watch", -2, static (c, a, w) => c.Transaction.WatchAsync(a, w)) { Keys = (1, -1, 1) },
        new LocalCommand("unwatch", 1, static (c, _, w) => { c.Transaction.Unwatch(); w.Ok(); }),
    ];

    /// <summary>RESET: the connection is as if it were new, but for its number.</summary>
    private static void Reset(RespConnection connection, RespWriter writer)
    {
        connection.Transaction.Reset();
        connection.Subscriptions.Clear();
        connection.Database.Reset();
        connection.Client.Name = "";
        connection.LogIn(connection.FirstLogin);
        writer.Protocol = 2;
        writer.Simple("RESET");
    }

    private static ValueTask Do(Action action)
    {
        action();
        return ValueTask.CompletedTask;
    }

    private static void Ping(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        if (arguments.Count > 2)
        {
            writer.Error(RespErrors.WrongArity("ping"));
        }
        else if (connection.Subscriptions.Count > 0 && writer.Protocol == 2)
        {
            writer.Array(2);
            writer.Bulk("pong");
            writer.Bulk(arguments.Count == 2 ? arguments.Span(1) : default);
        }
        else if (arguments.Count == 2)
        {
            writer.Bulk(arguments.Span(1));
        }
        else
        {
            writer.Raw("+PONG\r\n"u8);
        }
    }

    // What it selects was taken note of when it was planned: what stands behind it in the same batch must know.
    private static void Select(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        if (SelectedDatabase.Problem(arguments) is { } problem)
        {
            writer.Error(problem);
        }
        else
        {
            writer.Ok();
        }
    }

    private static async ValueTask Hello(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        int protocol = writer.Protocol;
        string? name = null;
        for (int i = 1; i < arguments.Count; i++)
        {
            if (i == 1)
            {
                if (!arguments.TryInteger(1, out long asked))
                {
                    writer.Error("ERR Protocol version is not an integer or out of range");
                    return;
                }

                if (asked is not (2 or 3))
                {
                    writer.Error("NOPROTO unsupported protocol version");
                    return;
                }

                protocol = (int)asked;
            }
            else if (arguments.Is(i, "AUTH"u8) && i + 2 < arguments.Count)
            {
                if (await AuthCommand.LogInAsync(connection, arguments, i + 1) is { } problem)
                {
                    writer.Error(problem);
                    return;
                }

                i += 2;
            }
            else if (arguments.Is(i, "SETNAME"u8) && i + 1 < arguments.Count)
            {
                if (!ClientIdentity.IsName(arguments.Span(++i)))
                {
                    writer.Error(ClientIdentity.WrongName);
                    return;
                }

                name = arguments.Text(i);
            }
            else
            {
                writer.Error($"ERR Syntax error in HELLO option '{arguments.Text(i)}'");
                return;
            }
        }

        if (connection.Services.AsksWho && connection.User is null)
        {
            writer.Error(
                "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> "
                    + "option can be used to authenticate the client and select the RESP protocol version at the same time");
            return;
        }

        connection.Client.Name = name ?? connection.Client.Name;
        writer.Protocol = protocol;
        writer.Map(7);
        writer.Bulk("server");
        writer.Bulk("redis");
        writer.Bulk("version");
        writer.Bulk(Version);
        writer.Bulk("proto");
        writer.Integer(protocol);
        writer.Bulk("id");
        writer.Integer(connection.Id);
        writer.Bulk("mode");
        writer.Bulk("standalone");
        writer.Bulk("role");
        writer.Bulk("master");
        writer.Bulk("modules");
        writer.Array(0);
    }

    private static void Info(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        NodeStatus status = connection.Node.GetStatus();
        var text = new StringBuilder();
        bool Wanted(string section) =>
            arguments.Count == 1
            || Enumerable
                .Range(1, arguments.Count - 1)
                .Any(i =>
                    string.Equals(arguments.Text(i), section, StringComparison.OrdinalIgnoreCase)
                    || arguments.Is(i, "ALL"u8)
                    || arguments.Is(i, "EVERYTHING"u8)
                    || arguments.Is(i, "DEFAULT"u8));
        void Section(string name, params (string Key, object Value)[] lines)
        {
            if (Wanted(name))
            {
                text.Append(text.Length > 0 ? "\r\n" : "").Append("# ").Append(name).Append("\r\n");
                foreach ((string key, object value) in lines)
                {
                    text.Append(CultureInfo.InvariantCulture, $"{key}:{value}\r\n");
                }
            }
        }

        int leads = status.Shards.Count(s => s.Role == ReplicaRole.Leader);
        Section(
            "Server",
            ("redis_version", Version),
            ("server_name", "henge"),
            ("redis_mode", "standalone"),
            ("uptime_in_seconds", status.UptimeMs / 1000),
            ("node", status.Name));
        Section(
            "Memory",
            ("memtable_bytes", status.Engine.MemTableBytes),
            ("block_cache_bytes", status.Engine.BlockCacheBytes),
            ("used_memory", Environment.WorkingSet));
        Section(
            "Persistence",
            ("loading", 0),
            ("log_bytes", status.LogBytes),
            ("log_syncs", status.LogSyncs),
            ("table_bytes", status.Engine.TableBytes));
        Section(
            "Replication",
            ("role", "master"),
            ("shards", status.Shards.Count),
            ("shards_led", leads),
            ("cluster_id", status.ClusterId));

        // Clients that see a 1 look for hash slots, which there are none of.
        Section("Cluster", ("cluster_enabled", 0));
        writer.Verbatim(text.ToString());
    }

    private static void Time(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        long unixMs = connection.Node.Now.Milliseconds + Core.Version.EpochUnixMs;
        writer.Array(2);
        writer.Bulk((unixMs / 1000).ToString(CultureInfo.InvariantCulture));
        writer.Bulk((unixMs % 1000 * 1000).ToString(CultureInfo.InvariantCulture));
    }
}

using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Server.Audit;
using Henge.Server.Events;
using Henge.Server.Tls;

namespace Henge.Server.Hosting;

/// <summary>
/// One setting: <c>--name</c> on the command line, <c>HENGE_NAME</c> in the environment, <c>"name"</c> in the configuration file.
/// </summary>
/// <param name="Name">Lower case, with dashes.</param>
/// <param name="Form">What its value looks like, for help texts.</param>
/// <param name="Description">What it is for, in one sentence.</param>
/// <param name="Default">Its value when it is not set, as a user would write it.</param>
public sealed record Setting(string Name, string Form, string Description, string Default)
{
    /// <summary>Puts a value into options. Throws <see cref="FormatException"/> with what is allowed.</summary>
    internal Func<ServerOptions, string, ServerOptions> Apply { get; init; } = static (options, _) => options;
}

/// <summary>All settings of a node, in the order in which help shows them.</summary>
public static partial class ServerSettings
{
    private const int Billion = 1_000_000_000;

    private static readonly NodeLimits Limits = new();
    private static readonly DoorOptions Door = new() { Address = "" };
    private static readonly AuditOptions Audit = new();

    /// <summary>The settings.</summary>
    public static IReadOnlyList<Setting> All { get; } =
    [
        .. General(),
        Node(
            "shards",
            "N",
            "Shards of a new cluster; a cluster keeps the number it was created with, so take 8 to 16 for each node that it may grow to.",
            "16",
            (o, v) => o with { Shards = SettingValue.Number(v, 1, 4096) }),
        Node(
            "replication-factor",
            "N",
            "Replicas of each shard of a new cluster, once it has as many nodes; `henge cluster set` changes it later. With fewer than there "
                + "are nodes each node has its share of the shards, and any node serves any key.",
            "at most 3",
            (o, v) => o with { ReplicationFactor = SettingValue.Number(v, 1, 15) }),
        Node(
            "history",
            "DURATION",
            "How long every version of a key is kept; ten seconds in any case.",
            "1h",
            (o, v) => o with { HistoryMs = (long)SettingValue.Duration(v, TimeSpan.Zero, TimeSpan.FromDays(3650)).TotalMilliseconds }),
        Node(
            "max-clock-skew",
            "DURATION",
            "How far the node's clock may be from what a majority of the nodes' clocks say and still be used.",
            "500ms",
            (o, v) =>
                o with
                {
                    MaxClockSkewMs = (long)
                        SettingValue.Duration(v, TimeSpan.FromMilliseconds(1), TimeSpan.FromDays(36_500)).TotalMilliseconds,
                }),
        Node(
            "reads",
            "MODE",
            "How reads are made sure of unless they say it themselves: linearizable, lease or stale.",
            "linearizable",
            (o, v) =>
                o with
                {
                    Reads = SettingValue.Choice(
                        v,
                        ("linearizable", ReadConsistency.Linearizable),
                        ("lease", ReadConsistency.Lease),
                        ("stale", ReadConsistency.Stale)),
                }),
        Node(
            "default-deadline",
            "DURATION",
            "How long an operation that names no deadline is tried.",
            "5s",
            (o, v) =>
                o with
                {
                    DefaultDeadlineMs = (int)
                        SettingValue.Duration(v, TimeSpan.FromMilliseconds(10), TimeSpan.FromHours(1)).TotalMilliseconds,
                }),
        Node(
            "workers",
            "N",
            "Workers; 0: half as many as processors, or as many in a cluster of one.",
            "0",
            (o, v) => o with { Workers = SettingValue.Number(v, 0, 1024) }),
        .. OfAudit(),
        .. OfNodeLimits(),
        .. OfPort(),
        .. OfHttp(),
        .. OfGrpc(),
    ];

    /// <summary>Checks what no setting can see alone. Throws <see cref="HengeException"/> (Misconfigured).</summary>
    internal static void CheckTogether(ServerOptions options)
    {
        NodeLimits limits = options.Node.Limits;
        if (options.Door.Grpc.MessageBytes < limits.CommandBytes)
        {
            throw Wrong(
                $"limit-message-bytes ({SettingValue.FormatSize(options.Door.Grpc.MessageBytes)}) is less than limit-command-bytes "
                    + $"({SettingValue.FormatSize(limits.CommandBytes)}): such commands could not arrive. Raise the one or lower the other."
            );
        }

        if (limits.CommandBytes < limits.ValueBytes + limits.KeyBytes + 1024)
        {
            throw Wrong(
                $"limit-command-bytes ({SettingValue.FormatSize(limits.CommandBytes)}) has no room for one key and value "
                    + $"({SettingValue.FormatSize(limits.KeyBytes)} + {SettingValue.FormatSize(limits.ValueBytes)} + 1KiB). Raise the one "
                    + $"or lower the others.");
        }

        if (options.Join.Count > 0 && options.Node.Cluster.Count > 0)
        {
            throw Wrong(
                "cluster and join are both set. A node is one of those that a cluster is made of (cluster, the same list on each), or joins "
                    + "a cluster that runs (join, addresses of any of its nodes): leave one of them out.");
        }

        AuditSettings.Check(options.Audit);
        _ = SecuritySettings.TlsOf(options.Door, options.IsForPeers);
        if (options.Node.Cluster.Count > 0 && !options.Node.Cluster.Any(member => member.Name == options.Node.Name))
        {
            throw Wrong(
                $"node-id {options.Node.Name} is not in the list of cluster: "
                    + $"{string.Join(", ", options.Node.Cluster.Select(member => member.Name))}. Each node is in the list, and the list is "
                    + $"the same on each.");
        }
    }

    private static IEnumerable<Setting> General() =>
        [
            Server(
                "node-id",
                "NAME",
                "The node's name, unique in its cluster and the same for ever.",
                "node1",
                (o, v) => o with { Node = o.Node with { Name = SettingValue.NodeName(v) } }),
            OfDoor(
                "addr",
                "HOST:PORT",
                "Where to listen. One port speaks every protocol.",
                "127.0.0.1:7001",
                (o, v) => o with { Address = SettingValue.Address(v, zeroPort: true) }),
            Server(
                "advertise",
                "HOST:PORT",
                "The address at which others reach this node.",
                "as in cluster, else addr",
                (o, v) => o with { AdvertisedAddress = SettingValue.Address(v, zeroPort: false) }),
            Server(
                "data-dir",
                "DIR",
                "The directory that holds everything of this node.",
                "data/node1",
                (o, v) => o with { Node = o.Node with { DataDirectory = v.Length > 0 ? v : throw new FormatException("a directory") } }),
            Node(
                "cluster",
                "LIST",
                "All nodes of the cluster as name=host:port, with commas between; the same on each node.",
                "this node alone",
                (o, v) => o with { Cluster = Members(v) }),
            Server(
                "join",
                "LIST",
                "Addresses of nodes of a running cluster, with commas between: with a new data directory the node joins it.",
                "none",
                (o, v) => o with
                {
                    Join =
                    [
                        .. v.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                            .Select(static address => SettingValue.Address(address, zeroPort: false)),
                    ],
                }),
            Node(
                "zone",
                "NAME",
                "Where the node stands: replicas are spread over as many zones as there are.",
                "as the cluster has it",
                (o, v) => o with { Zone = SettingValue.Zone(v) }),
            Node(
                "weight",
                "N",
                "How much of the data the node takes, compared with others.",
                "as the cluster has it, 100 for a new node",
                (o, v) => o with { Weight = SettingValue.Number(v, 1, 10_000) }),
            Node(
                "cluster-token",
                "TEXT",
                "Tells clusters with the same list apart; the same on each node.",
                "empty",
                (o, v) => o with { ClusterToken = v }),
            Server(
                "engine",
                "KIND",
                "How data is kept: lsm (disk, Henge's own), rocksdb (disk) or memory. A data directory keeps the engine that made it.",
                "lsm",
                (o, v) => o with
                {
                    Engine = SettingValue.Choice(
                        v, ("lsm", EngineKind.Lsm), ("memory", EngineKind.Memory), ("rocksdb", EngineKind.RocksDb)),
                }),
            Server(
                "memory",
                "SIZE",
                "Memory of the engine, memtables and block cache together.",
                "512MiB",
                (o, v) => o with { MemoryBytes = SettingValue.Size(v, 16L << 20, 1L << 44) }),
            Server(
                "scheduler",
                "KIND",
                "How workers run: pool, pinned, queue or thread.",
                "pool",
                (o, v) =>
                    o with
                    {
                        Scheduler = SettingValue.Choice(
                            v,
                            ("pool", SchedulerKind.Pool),
                            ("pinned", SchedulerKind.Pinned),
                            ("queue", SchedulerKind.Queue),
                            ("thread", SchedulerKind.Thread)),
                    }),
            Server(
                "log-format",
                "FORMAT",
                "How events are logged on standard error: text, or json for one JSON object a line.",
                "text",
                (o, v) =>
                    o with { Log = o.Log with { Format = SettingValue.Choice(v, ("text", LogFormat.Text), ("json", LogFormat.Json)) } }),
            Server(
                "log-level",
                "LIST",
                "Least level that is logged, by category, with commas between: Information,Henge.Raft=Debug.",
                "Information",
                (o, v) => o with { Log = LogLevelSetting.Apply(o.Log, v) }),
            Server(
                "otlp",
                "URL",
                "Export metrics to this OTLP collector (gRPC), beside /metrics: http://HOST:4317.",
                "none",
                (o, v) =>
                    o with
                    {
                        OtlpEndpoint =
                            v.Length == 0 || (Uri.TryCreate(v, UriKind.Absolute, out Uri? url) && url.Scheme is "http" or "https")
                                ? v
                                : throw new FormatException("a URL such as http://127.0.0.1:4317"),
                    }),
            Server(
                "otlp-interval",
                "DURATION",
                "How often metrics are exported.",
                "15s",
                (o, v) => o with { OtlpInterval = Period(v, 0.1, 3600) }),
            OfDoor(
                "tls-cert",
                "FILE",
                "Certificate and chain (PEM or PKCS#12): turns TLS on, for all protocols.",
                "none",
                (o, v) => o with { TlsCertificateFile = v }),
            OfDoor(
                "tls-key",
                "FILE",
                "The certificate's key (PEM), when it is not in the same file.",
                "none",
                (o, v) => o with { TlsKeyFile = v }),
            OfDoor(
                "tls-ca",
                "FILE",
                "The authorities (PEM) that sign nodes and users: nodes of a cluster know each other by them. May hold several.",
                "none",
                (o, v) => o with { TlsAuthorityFile = v }),
            OfDoor(
                "tls-client-auth",
                "MODE",
                "Whether clients need a certificate of these authorities: none, optional or require.",
                "require with tls-ca, else none",
                (o, v) => o with
                {
                    TlsClientAuthentication = SettingValue.Choice(
                        v,
                        ("none", TlsClientAuthentication.None),
                        ("optional", TlsClientAuthentication.Optional),
                        ("require", TlsClientAuthentication.Require)),
                }),
            OfDoor(
                "root-password-file",
                "FILE",
                "Give the user root the password in this file when the node starts: for who has lost it.",
                "none",
                (o, v) => o with { RootPasswordFile = v }),
            OfDoor(
                "oidc-authority",
                "URL",
                "An OpenID Connect provider whose tokens are taken for users of the same name.",
                "none",
                (o, v) => o with { OidcAuthority = v }),
            OfDoor(
                "oidc-audience",
                "NAME",
                "For whom the provider's tokens have to be.",
                "henge",
                (o, v) => o with { OidcAudience = v }),
            OfDoor(
                "oidc-user-claim",
                "NAME",
                "The claim of the provider's tokens that has the user's name.",
                "sub",
                (o, v) => o with { OidcUserClaim = v }),
            OfDoor(
                "insecure",
                "BOOL",
                "Listen where others reach the node without TLS or without knowing who calls. For closed networks.",
                "false",
                (o, v) => o with { IsInsecure = SettingValue.Choice(v, ("true", true), ("false", false), ("1", true), ("0", false)) }),
            OfDoor(
                "drain-timeout",
                "DURATION",
                "How long a stop waits for calls under way.",
                Text(Door.DrainTimeout),
                (o, v) => o with { DrainTimeout = Period(v, 0, 3600) }),
        ];

    private static IEnumerable<Setting> OfAudit() =>
        [
            OfAudit(
                "audit-log",
                "FILE",
                "Write who did what to this file as well, a JSON object a line.",
                "none",
                (o, v) => o with { Path = v }),
            OfAudit(
                "audit-log-size",
                "SIZE",
                "From how many bytes on another file of the audit log is begun.",
                Size(Audit.FileBytes),
                (o, v) => o with { FileBytes = SettingValue.Size(v, 4096, 1L << 40) }),
            OfAudit(
                "audit-log-files",
                "N",
                "How many files of the audit log are kept.",
                $"{Audit.Files}",
                (o, v) => o with { Files = SettingValue.Number(v, 1, 100_000) }),
            OfAudit(
                "audit-keys",
                "LIST",
                "Whose use is written to the audit log, with commas between: read:PREFIX, write:PREFIX or all:PREFIX; all: is every key.",
                "none",
                (o, v) => o with { Keys = AuditKeysSetting.Read(v) }),
            OfAudit(
                "audit-keys-sample",
                "N",
                "One use of these keys in so many is written, by chance; what is refused for want of a permission always is.",
                $"{Audit.KeysSample}",
                (o, v) => o with { KeysSample = SettingValue.Number(v, 1, Billion) }),
        ];

    private static ClusterMember[] Members(string text)
    {
        List<ClusterMember> members = [];
        foreach (string part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = part.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
            {
                throw new FormatException($"a list of name=host:port with commas between; \"{part}\" is not such a pair");
            }

            ClusterMember member = new(
                SettingValue.NodeName(part[..equals].Trim()),
                SettingValue.Address(part[(equals + 1)..].Trim(), zeroPort: false));
            if (members.Exists(other => other.Name == member.Name || other.Address == member.Address))
            {
                throw new FormatException($"a list in which each name and each address comes once; \"{part}\" repeats one");
            }

            members.Add(member);
        }

        return members.Count > 0
            ? [.. members]
            : throw new FormatException("a list of name=host:port with commas between, such as node1=10.0.0.1:7001,node2=10.0.0.2:7001");
    }

    private static Setting Server(
        string name,
        string form,
        string description,
        string byDefault,
        Func<ServerOptions, string, ServerOptions> apply
    ) => new(name, form, description, byDefault) { Apply = apply };

    private static Setting Node(
        string name,
        string form,
        string description,
        string byDefault,
        Func<NodeOptions, string, NodeOptions> apply
    ) => Server(name, form, description, byDefault, (options, value) => options with { Node = apply(options.Node, value) });

    private static Setting Limit(
        string name,
        string form,
        string description,
        string byDefault,
        Func<NodeLimits, string, NodeLimits> apply
    ) => Node(name, form, description, byDefault, (options, value) => options with { Limits = apply(options.Limits, value) });

    private static Setting OfDoor(
        string name,
        string form,
        string description,
        string byDefault,
        Func<DoorOptions, string, DoorOptions> apply
    ) => Server(name, form, description, byDefault, (options, value) => options with { Door = apply(options.Door, value) });

    private static Setting OfAudit(
        string name,
        string form,
        string description,
        string byDefault,
        Func<AuditOptions, string, AuditOptions> apply
    ) => Server(name, form, description, byDefault, (options, value) => options with { Audit = apply(options.Audit, value) });

    private static int Bytes(string text, int least, int most) => (int)SettingValue.Size(text, least, most);

    private static TimeSpan Period(string text, double leastSeconds, double mostSeconds) =>
        SettingValue.Duration(text, TimeSpan.FromSeconds(leastSeconds), TimeSpan.FromSeconds(mostSeconds));

    private static string Size(long bytes) => SettingValue.FormatSize(bytes);

    private static string Text(TimeSpan duration) => SettingValue.FormatDuration(duration);

    private static HengeException Wrong(string message) => new(ErrorCode.Misconfigured, message);
}

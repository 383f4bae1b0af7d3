using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Server.Hosting;

namespace Henge.Server.Tests.Hosting;

public sealed class ServerConfigurationTests
{
    private static ServerOptions Load(params (string Name, string Value)[] commandLine) =>
        ServerConfiguration.Load(commandLine.ToDictionary(s => s.Name, s => s.Value), null, new Dictionary<string, string>());

    private static string Error(params (string Name, string Value)[] commandLine)
    {
        HengeException e = Assert.Throws<HengeException>(() => Load(commandLine));
        Assert.Equal(ErrorCode.Misconfigured, e.Code);
        return e.Message;
    }

    [Fact]
    public void Without_settings_everything_has_its_default()
    {
        ServerOptions options = Load();
        Assert.Equal("node1", options.Node.Name);
        Assert.Equal("127.0.0.1:7001", options.Door.Address);
        Assert.Equal(new NodeLimits(), options.Node.Limits);
    }

    [Fact]
    public void Every_setting_takes_the_default_that_it_names_where_it_names_a_value()
    {
        // A cluster that exists keeps its number of shards, so 0 (as many as it has, or 16 for a new one) is what the options hold.
        Assert.Equal("16", ServerSettings.All.Single(s => s.Name == "shards").Default);
        Assert.Equal(0, Load().Node.Shards);
        foreach (
            Setting setting in ServerSettings.All.Where(s =>
                !s.Default.Contains(' ') && s.Default is not ("none" or "empty") && s.Name != "shards"))
        {
            Assert.Equal((setting.Name, Load()), (setting.Name, Load((setting.Name, setting.Default))));
        }
    }

    [Fact]
    public void A_default_that_is_named_in_words_is_no_value_at_all()
    {
        string[] named = [.. ServerSettings.All.Where(s => s.Default.Contains(' ') || s.Default is "none" or "empty").Select(s => s.Name)];
        Assert.Equal(
            [
                "advertise", "audit-keys", "audit-log", "cluster", "cluster-token", "join", "oidc-authority", "otlp", "replication-factor",
                "root-password-file",
                "tls-ca", "tls-cert", "tls-client-auth", "tls-key", "weight", "zone",
            ],
            named.Order(StringComparer.Ordinal));
        ServerOptions options = Load();
        Assert.Equal(
            ("", "", "", 0),
            (options.AdvertisedAddress, options.Node.ClusterToken, options.OtlpEndpoint, options.Node.ReplicationFactor));
        Assert.Empty(options.Node.Cluster);
        Assert.Empty(options.Join);
        Assert.Empty(options.Audit.Keys);
        Assert.Equal("", options.Audit.Path);
        Assert.Equal(("", 0), (options.Node.Zone, options.Node.Weight));
        Assert.Null(options.Door.TlsCertificateFile);
        Assert.Null(options.Door.TlsKeyFile);
        Assert.Null(options.Door.TlsAuthorityFile);
        Assert.Null(options.Door.TlsClientAuthentication);
    }

    [Fact]
    public void Every_setting_has_an_effect()
    {
        string[] values =
        [
            "2",
            "20",
            "3s",
            "70000",
            "90KiB",
            "32MiB",
            "2MiB",
            "7MiB",
            "true",
            "false",
            "lease",
            "memory",
            "pinned",
            "127.0.0.1:9",
            "http://127.0.0.1:9",
            "node1=127.0.0.1:9",
            "json",
            "Debug",
            "optional",
            "all:a",
            "other",
        ];
        Assert.Empty(
            ServerSettings
                .All.Where(setting => !values.Any(value =>
                    TryLoad(setting.Name, value) is { } changed && changed != Load(BesidesOf(setting.Name))))
                .Select(s => s.Name));
    }

    // Of TLS, and of the audit, the parts mean nothing without each other.
    private static (string, string)[] BesidesOf(string name) =>
        name.StartsWith("tls-", StringComparison.Ordinal) ? [("tls-cert", "a"), ("tls-ca", "b")]
        : name == "audit-keys" ? [("audit-log", "a")]
        : [];

    private static ServerOptions? TryLoad(string name, string value)
    {
        try
        {
            return Load([.. BesidesOf(name).Where(b => b.Item1 != name), (name, value)]);
        }
        catch (HengeException e) when (e.Code == ErrorCode.Misconfigured)
        {
            return null;
        }
    }

    [Fact]
    public void Names_of_settings_are_unique_and_fit_the_environment()
    {
        Assert.Equal(ServerSettings.All.Count, ServerSettings.All.Select(s => s.Name).Distinct().Count());
        Assert.All(ServerSettings.All, s => Assert.Matches("^[a-z][a-z-]*[a-z]$", s.Name));
        Assert.All(ServerSettings.All, s => Assert.EndsWith(".", s.Description));
    }

    [Theory]
    [InlineData("HENGE_NODEID", "HENGE_NODE_ID")]
    [InlineData("HENGE_DATADIR", "HENGE_DATA_DIR")]
    [InlineData("HENGE_COMPLETELY_OTHER", "henge serve --help")]
    public void A_variable_that_would_be_ignored_is_refused(string variable, string told)
    {
        HengeException refused = Assert.Throws<HengeException>(
            () => ServerConfiguration.Load(new Dictionary<string, string>(), null, new Dictionary<string, string> { [variable] = "x" }));
        Assert.Equal(ErrorCode.Misconfigured, refused.Code);
        Assert.Contains(variable, refused.Message, StringComparison.Ordinal);
        Assert.Contains(told, refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("HENGE_SERVICE_HOST")]
    [InlineData("HENGE_SERVICE_PORT_GRPC")]
    [InlineData("HENGE_PORT")]
    [InlineData("HENGE_PORT_7001_TCP_ADDR")]
    [InlineData("HENGE_HEADLESS_SERVICE_PORT")]
    [InlineData("HENGE_PEERS")]
    [InlineData("HENGE_PASSWORD")]
    [InlineData("HENGE_TOKEN")]
    [InlineData("PATH")]
    public void Variables_of_clients_and_those_of_a_service_named_henge_are_let_be(string variable) =>
        Assert.NotNull(
            ServerConfiguration.Load(
                new Dictionary<string, string>(),
                null,
                new Dictionary<string, string> { [variable] = "tcp://10.0.0.1:7001" }));

    [Fact]
    public void The_command_line_wins_over_the_environment_and_that_over_the_file()
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, """
                {
                  // three ways to say things
                  "node-id": "file", "addr": "127.0.0.1:1", "shards": 8, "limit": { "key-bytes": "2KiB" },
                  "cluster": ["env=127.0.0.1:5", "line=127.0.0.1:6"],
                }
                """);
            ServerOptions options = ServerConfiguration.Load(
                new Dictionary<string, string> { ["node-id"] = "line" },
                file,
                new Dictionary<string, string> { ["HENGE_NODE_ID"] = "env", ["HENGE_ADDR"] = "127.0.0.1:2" });
            Assert.Equal("line", options.Node.Name);
            Assert.Equal("127.0.0.1:2", options.Door.Address);
            Assert.Equal(8, options.Node.Shards);
            Assert.Equal(2048, options.Node.Limits.KeyBytes);
            Assert.Equal([new ClusterMember("env", "127.0.0.1:5"), new ClusterMember("line", "127.0.0.1:6")], options.Node.Cluster);
            Assert.Equal(
                "file",
                ServerConfiguration
                    .Load(
                        new Dictionary<string, string>(),
                        null,
                        new Dictionary<string, string> { ["HENGE_CONFIG"] = file, ["HENGE_CLUSTER"] = "file=a:1" })
                    .Node.Name);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory]
    [InlineData("shards", "0", "from 1 to 4096")]
    [InlineData("shards", "many", "from 1 to 4096")]
    [InlineData("history", "1e3", "a number with a unit")]
    [InlineData("history", "-1s", "duration")]
    [InlineData("limit-key-bytes", "1TiB", "from 1B to 31KiB")]
    [InlineData("reads", "dirty", "linearizable, lease, stale")]
    [InlineData("engine", "sql", "lsm, bitcask, memory, rocksdb")]
    [InlineData("node-id", "a b", "letters")]
    [InlineData("addr", "7001", "HOST:PORT")]
    [InlineData("addr", "x:99999", "HOST:PORT")]
    [InlineData("cluster", "node1", "name=host:port")]
    [InlineData("cluster", "a=x:1,a=y:1", "repeats")]
    [InlineData("data-dir", "", "a directory")]
    public void A_bad_value_is_told_with_its_setting_and_what_is_allowed(string name, string value, string allowed)
    {
        string message = Error((name, value));
        Assert.Contains($"The setting {name} (--{name} on the command line) is \"{value}\"", message);
        Assert.Contains(allowed, message);
    }

    [Fact]
    public void An_unknown_setting_is_told_with_the_nearest_one()
    {
        Assert.Contains("There is no setting shard (on the command line). Did you mean shards?", Error(("shard", "4")));
        Assert.Contains("henge serve --help", Error(("colour-of-the-door", "red")));
    }

    [Fact]
    public void Settings_that_do_not_go_together_are_refused()
    {
        Assert.Contains("limit-message-bytes", Error(("limit-message-bytes", "1MiB")));
        Assert.Contains("--tls-ca", Error(("tls-cert", "x.pem"), ("node-id", "a"), ("cluster", "a=h:1,b=h:2")));
        Assert.Contains("--tls-ca", Error(("tls-cert", "x.pem"), ("join", "h:1")));
        Assert.Contains("--tls-key is set and --tls-cert is not", Error(("tls-key", "x.pem")));
        Assert.Contains("--tls-ca is set and --tls-cert is not", Error(("tls-ca", "x.pem")));
        Assert.Contains("--tls-client-auth is set and --tls-cert is not", Error(("tls-client-auth", "require")));
        Assert.Contains("does not say whose", Error(("tls-cert", "x.pem"), ("tls-client-auth", "optional")));
        Assert.Equal("x.pem", Load(("tls-cert", "x.pem"), ("tls-client-auth", "none")).Door.TlsCertificateFile);
        Assert.Contains("limit-command-bytes", Error(("limit-value-bytes", "16MiB")));
        Assert.Contains("not in the list of cluster", Error(("node-id", "x"), ("cluster", "a=h:1,b=h:2")));
    }

    [Theory]
    [InlineData("{", "not valid JSON")]
    [InlineData("[]", "one JSON object")]
    [InlineData("{\"node-id\": null}", "It must be a string")]
    [InlineData("{\"nodeid\": \"x\"}", "Did you mean node-id?")]
    public void An_error_in_a_file_names_the_file(string content, string expected)
    {
        string file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, content);
            HengeException e = Assert.Throws<HengeException>(() =>
                ServerConfiguration.Load(new Dictionary<string, string>(), file, new Dictionary<string, string>()));
            Assert.Contains(expected, e.Message);
            Assert.Contains(file, e.Message);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void A_file_that_is_not_there_is_told()
    {
        HengeException e = Assert.Throws<HengeException>(() =>
            ServerConfiguration.Load(new Dictionary<string, string>(), "no/such/henge.json", new Dictionary<string, string>()));
        Assert.Contains("no/such/henge.json cannot be read", e.Message);
    }

    [Theory]
    [InlineData("64KiB", 65536)]
    [InlineData("1.5MiB", 1572864)]
    [InlineData("10MB", 10_000_000)]
    [InlineData("4096", 4096)]
    [InlineData("7b", 7)]
    public void Sizes_have_units(string text, long bytes) => Assert.Equal(bytes, SettingValue.Size(text, 1, long.MaxValue));

    [Theory]
    [InlineData("250ms", 250)]
    [InlineData("1.5s", 1500)]
    [InlineData("5m", 300_000)]
    [InlineData("2h", 7_200_000)]
    [InlineData("1d", 86_400_000)]
    [InlineData("3600", 3_600_000)]
    [InlineData("1h30m", 5_400_000)]
    public void Durations_have_units(string text, double milliseconds) =>
        Assert.Equal(milliseconds, SettingValue.Duration(text, TimeSpan.Zero, TimeSpan.MaxValue).TotalMilliseconds);
}

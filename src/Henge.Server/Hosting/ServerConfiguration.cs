using System.Collections;
using System.Text.Json;
using System.Text.RegularExpressions;
using Henge.Core;

namespace Henge.Server.Hosting;

/// <summary>
/// Gathers settings from the command line, the environment (<c>HENGE_NODE_ID</c> for <c>node-id</c>) and a JSON file; the first of these
/// that names a setting wins.
/// </summary>
public static partial class ServerConfiguration
{
    /// <summary>Most bytes of a configuration file.</summary>
    public const int LimitFileBytes = 1024 * 1024;

    private const string Prefix = "HENGE_";

    // What clients and commands read.
    private static readonly string[] NotSettings =
        ["HENGE_CONFIG", "HENGE_PEERS", "HENGE_TLS", "HENGE_USER", "HENGE_PASSWORD", "HENGE_TOKEN"];

    /// <summary>
    /// Reads all settings. Throws <see cref="HengeException"/> (Misconfigured) that names the setting, where it stands, its value and what
    /// is allowed.
    /// </summary>
    /// <param name="commandLine">Settings by name, without dashes in front, as the command line gave them.</param>
    /// <param name="configFile">A JSON file: one object of settings by name; null: <c>HENGE_CONFIG</c>, or none.</param>
    /// <param name="environment">The environment; null: that of the process.</param>
    public static ServerOptions Load(
        IReadOnlyDictionary<string, string> commandLine,
        string? configFile = null,
        IDictionary? environment = null)
    {
        Dictionary<string, (string Value, string Source)> found = new(StringComparer.Ordinal);
        environment ??= Environment.GetEnvironmentVariables();
        configFile ??= environment[Prefix + "CONFIG"] as string;
        if (!string.IsNullOrEmpty(configFile))
        {
            ReadFile(configFile, found);
        }

        ReadEnvironment(environment, found);
        foreach ((string name, string value) in commandLine)
        {
            found[Known(name, "on the command line").Name] = (value, $"--{name} on the command line");
        }

        ServerOptions options = new();
        foreach (Setting setting in ServerSettings.All)
        {
            if (found.TryGetValue(setting.Name, out (string Value, string Source) given))
            {
                try
                {
                    options = setting.Apply(options, given.Value);
                }
                catch (FormatException e)
                {
                    throw Wrong($"The setting {setting.Name} ({given.Source}) is \"{given.Value}\". It must be {e.Message}.");
                }
            }
        }

        ServerSettings.CheckTogether(options);
        return options;
    }

    private static void ReadFile(string path, Dictionary<string, (string Value, string Source)> found)
    {
        try
        {
            FileInfo file = new(path);
            if (file.Exists && file.Length > LimitFileBytes)
            {
                throw Wrong(
                    $"The configuration file {path} has {file.Length} bytes; at most {LimitFileBytes} are read. Is it the right file?");
            }

            using JsonDocument document = JsonDocument.Parse(
                File.ReadAllBytes(path),
                new JsonDocumentOptions
                {
                    AllowTrailingCommas = true,
                    CommentHandling = JsonCommentHandling.Skip,
                    MaxDepth = 8,
                });
            if (document.RootElement.ValueKind != JsonValueKind.Object)
            {
                throw Wrong($"The configuration file {path} must hold one JSON object, such as {{\"node-id\": \"node1\"}}.");
            }

            ReadObject(document.RootElement, "", path, found);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Wrong($"The configuration file {path} cannot be read: {e.Message}", e);
        }
        catch (JsonException e)
        {
            throw Wrong($"The configuration file {path} is not valid JSON: {e.Message}", e);
        }
    }

    private static void ReadObject(JsonElement element, string prefix, string path, Dictionary<string, (string Value, string Source)> found)
    {
        foreach (JsonProperty property in element.EnumerateObject())
        {
            string name = prefix + property.Name;
            if (property.Value.ValueKind == JsonValueKind.Object && IsList(name))
            {
                // {"log-level": {"Default": "Information", "Henge.Raft": "Debug"}} is Default=Information,Henge.Raft=Debug.
                found[name] = (
                    string.Join(',', property.Value.EnumerateObject().Select(item => $"{item.Name}={ToText(item.Value, name, path)}")),
                    $"in {path}");
            }
            else if (property.Value.ValueKind == JsonValueKind.Object)
            {
                // {"limit": {"key-bytes": 1024}} is limit-key-bytes.
                ReadObject(property.Value, name + "-", path, found);
            }
            else
            {
                found[Known(name, $"in {path}").Name] = (ToText(property.Value, name, path), $"in {path}");
            }
        }
    }

    private static bool IsList(string name) => ServerSettings.All.Any(setting => setting.Name == name && setting.Form == "LIST");

    private static string ToText(JsonElement value, string name, string path) =>
        value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!,
            JsonValueKind.Number => value.GetRawText(),
            JsonValueKind.True => "true",
            JsonValueKind.False => "false",
            JsonValueKind.Array => string.Join(',', value.EnumerateArray().Select(item => ToText(item, name, path))),
            _ => throw Wrong(
                $"The setting {name} (in {path}) is {value.ValueKind}. It must be a string, a number, true, false or a list of these."),
        };

    private static void ReadEnvironment(IDictionary environment, Dictionary<string, (string Value, string Source)> found)
    {
        foreach (Setting setting in ServerSettings.All)
        {
            string variable = VariableOf(setting);
            if (environment[variable] is string { Length: > 0 } value)
            {
                found[setting.Name] = (value, variable + " in the environment");
            }
        }

        foreach (
            string variable in environment
                .Keys.OfType<string>()
                .Where(static v => v.StartsWith(Prefix, StringComparison.Ordinal))
                .Order(StringComparer.Ordinal))
        {
            if (IsUnknown(variable))
            {
                string[] known = [.. NotSettings, .. ServerSettings.All.Select(static setting => VariableOf(setting))];
                string hint = NearMiss.Find(variable[Prefix.Length..], known.Select(static v => v[Prefix.Length..])) is { } near
                    ? $"Did you mean {Prefix}{near}?"
                    : "Every setting that henge serve --help shows has a variable: HENGE_NODE_ID for --node-id.";
                throw Wrong($"The environment variable {variable} is no setting of a node. {hint} Correct or unset it.");
            }
        }
    }

    /// <summary>
    /// A variable that would be ignored. What Kubernetes sets in every container beside a service named "henge" is none of ours.
    /// </summary>
    private static bool IsUnknown(string variable) =>
        !NotSettings.Contains(variable)
        && !ServerSettings.All.Any(setting => VariableOf(setting) == variable)
        && !ServiceVariable().IsMatch(variable);

    private static string VariableOf(Setting setting) => Prefix + setting.Name.ToUpperInvariant().Replace('-', '_');

    [GeneratedRegex("^HENGE_(.+_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_.+)?)$", RegexOptions.CultureInvariant)]
    private static partial Regex ServiceVariable();

    private static Setting Known(string name, string where)
    {
        foreach (Setting setting in ServerSettings.All)
        {
            if (setting.Name == name)
            {
                return setting;
            }
        }

        string hint = NearMiss.Find(name, ServerSettings.All.Select(setting => setting.Name)) is { } near
            ? $" Did you mean {near}?"
            : " See henge serve --help for all settings.";
        throw Wrong($"There is no setting {name} ({where}).{hint}");
    }

    private static HengeException Wrong(string message, Exception? inner = null) => new(ErrorCode.Misconfigured, message, inner);
}

using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Henge.Cluster;
using Henge.Core;

namespace Henge.Node.Context;

/// <summary>
/// Everything that decides which nodes are replicas of which shard, and how they read each other's entries. Fixed when a cluster is made:
/// each node keeps it in its IDENTITY file, the catalog has it, and two nodes that differ in any of it exchange no frames
/// (docs/decisions/0156-what-is-fixed-when-a-cluster-is-made.md). Immutable.
/// </summary>
internal sealed record FoundingSettings
{
    /// <summary>
    /// The level of formats (commands, snapshots, Raft messages) that this build makes clusters with. A build may know older ones.
    /// </summary>
    public const int NewestFormatLevel = 1;

    private const int MostMembers = 256;

    /// <summary>Shards of the cluster.</summary>
    public required int Shards { get; init; }

    /// <summary>Replicas of each shard; never more than there are members.</summary>
    public required int ReplicationFactor { get; init; }

    /// <summary>The token, in a form that can be shown: the first 64 bits of its hash, or <c>none</c>.</summary>
    public required string Token { get; init; }

    /// <summary>The version of the rule that places shards (<see cref="Placement.RuleVersion"/>).</summary>
    public required int PlacementRule { get; init; }

    /// <summary>The level of formats that the cluster uses.</summary>
    public required int FormatLevel { get; init; }

    /// <summary>
    /// The members as the cluster was made of them, in the order of their ids, which count from 1. Their addresses may have changed since.
    /// </summary>
    public required IReadOnlyList<ClusterMember> Members { get; init; }

    /// <summary>
    /// The first 64 bits of a hash of all of it. It stands in every frame, so that a frame of a node that differs in anything is never
    /// taken, whatever the transport does.
    /// </summary>
    public ulong ComputeDigest() => Hash(ToText());

    /// <summary>
    /// What a new cluster is made with. Throws <see cref="HengeException"/> (InvalidArgument, Misconfigured) for what cannot be.
    /// </summary>
    public static FoundingSettings Of(NodeOptions options, IReadOnlyList<ClusterMember> members) => new()
    {
        Shards = options.Shards == 0 ? NodeOptions.DefaultShards : options.Shards,
        ReplicationFactor = Math.Min(
            options.ReplicationFactor == 0 ? NodeOptions.DefaultReplicationFactor : options.ReplicationFactor,
            members.Count),
        Token = DescribeToken(options.ClusterToken),
        PlacementRule = Placement.RuleVersion,
        FormatLevel = NewestFormatLevel,
        Members = members,
    };

    /// <summary>A token in a form that can be shown.</summary>
    public static string DescribeToken(string token) =>
        token.Length == 0 ? "none" : Hash("henge token 1\n" + token).ToString("x16", CultureInfo.InvariantCulture);

    /// <summary>Refuses members that cannot be listed.</summary>
    public static void CheckMembers(IReadOnlyList<ClusterMember> members)
    {
        if (members.Count > MostMembers)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"The cluster's list names {members.Count} nodes; {MostMembers} are the most.");
        }

        foreach (ClusterMember member in members)
        {
            if (member.Address.Length > 255 || member.Address.Any(static c => char.IsWhiteSpace(c) || char.IsControl(c)))
            {
                throw new HengeException(
                    ErrorCode.InvalidArgument,
                    $"The address of {member.Name} in the cluster's list is no HOST:PORT of at most 255 characters without blanks.");
            }
        }
    }

    /// <summary>Writes it, one item a line. The text is part of the formats: see docs/formats.md, "Node identity".</summary>
    public string ToText()
    {
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"shards {Shards}\nreplicas {ReplicationFactor}\ntoken {Token}\nplacement {PlacementRule}\nformat {FormatLevel}\n");
        foreach (ClusterMember member in Members)
        {
            text.Append(CultureInfo.InvariantCulture, $"member {member.Name}={member.Address}\n");
        }

        return text.ToString();
    }

    /// <summary>Reads it from lines among which others may stand; null when something lacks or makes no sense.</summary>
    public static FoundingSettings? Parse(IReadOnlyList<string> lines)
    {
        string? Value(string name) => lines.FirstOrDefault(l => l.StartsWith(name + " ", StringComparison.Ordinal))?[(name.Length + 1)..];
        static bool Number(string? text, out int number) =>
            int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number > 0;
        var members = new List<ClusterMember>();
        foreach (string line in lines.Where(static l => l.StartsWith("member ", StringComparison.Ordinal)))
        {
            int equals = line.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0 || members.Count == MostMembers)
            {
                return null;
            }

            members.Add(new ClusterMember(line["member ".Length..equals], line[(equals + 1)..]));
        }

        return
            Value("token") is { Length: <= 16 } token
            && Number(Value("shards"), out int shards)
            && Number(Value("replicas"), out int replicas)
            && Number(Value("placement"), out int placement)
            && Number(Value("format"), out int format)
            && members.Count > 0
            ? new FoundingSettings
            {
                Shards = shards,
                ReplicationFactor = replicas,
                Token = token,
                PlacementRule = placement,
                FormatLevel = format,
                Members = members,
            }
            : null;
    }

    /// <summary>
    /// Where another node's differ: the name of each setting with the value here and there; empty when they are the same.
    /// </summary>
    public IReadOnlyList<SettingDifference> DifferencesTo(FoundingSettings other)
    {
        var found = new List<SettingDifference>();
        void Compare(string name, string here, string there)
        {
            if (here != there)
            {
                found.Add(new SettingDifference(name, here, there));
            }
        }

        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
        Compare("cluster", Describe(Members), Describe(other.Members));
        Compare("replication-factor", Text(ReplicationFactor), Text(other.ReplicationFactor));
        Compare("shards", Text(Shards), Text(other.Shards));
        Compare(
            "cluster-token",
            Token == "none" ? "none" : "one with hash " + Token,
            other.Token == "none" ? "none" : "one with hash " + other.Token);
        Compare("the placement rule", Text(PlacementRule), Text(other.PlacementRule));
        Compare("the format level", Text(FormatLevel), Text(other.FormatLevel));
        return found;
    }

    /// <summary>Members as the setting is written.</summary>
    private static string Describe(IReadOnlyList<ClusterMember> members)
    {
        string text = string.Join(',', members.Select(static m => $"{m.Name}={m.Address}"));
        return text.Length <= 1024 ? text : text[..1024] + "…";
    }

    private static ulong Hash(string text) => BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
}

/// <summary>A setting in which two nodes differ that should be of one cluster.</summary>
/// <param name="Name">Its name, as users write it.</param>
/// <param name="Here">Its value on this node.</param>
/// <param name="There">Its value on the other one.</param>
internal readonly record struct SettingDifference(string Name, string Here, string There)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Name} is {Here} here and {There} there";
}

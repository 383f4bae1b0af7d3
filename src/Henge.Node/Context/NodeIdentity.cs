using System.Buffers;
using System.Globalization;
using Henge.Cluster;
using Henge.Core;
using Henge.Node.Api;
using Henge.Storage.Files;

namespace Henge.Node.Context;

/// <summary>
/// What a data directory says about whom it belongs to: written once, when the directory is made, and compared with the settings at every
/// start (docs/formats.md, "Node identity"). The incarnation distinguishes a directory from an empty one that took its place.
/// </summary>
internal sealed record NodeIdentity
{
    private static readonly SearchValues<char> ForbiddenInNames = SearchValues.Create(" \t\r\n=,");

    /// <summary>This node's name.</summary>
    public required string Name { get; init; }

    /// <summary>A random number that this data directory was given when it was made; never 0.</summary>
    public required ulong Incarnation { get; init; }

    /// <summary>What the cluster was made with.</summary>
    public required FoundingSettings Founding { get; init; }

    /// <summary>What a member has that joined the cluster; null for one that the cluster was made of.</summary>
    public JoinedIdentity? Joined { get; init; }

    /// <summary>Shards of the cluster.</summary>
    public int Shards => Founding.Shards;

    /// <summary>Why a text cannot be a node's name; null when it can.</summary>
    public static string? ProblemOfName(string name) =>
        name.Length is 0 or > 64 || name.AsSpan().IndexOfAny(ForbiddenInNames) >= 0
            ? $"'{name}' cannot be a node's name: it must not be empty nor longer than 64 characters, nor have blanks, '=' or ','."
            : null;

    /// <summary>The members that a node knows of before it has read the catalog, itself among them.</summary>
    public IReadOnlyList<MemberInfo> KnownMembers(NodeOptions options, IReadOnlyList<ClusterMember> listed)
    {
        if (Joined is null)
        {
            return [.. listed.Select(static (m, i) => new MemberInfo(new NodeId((ulong)i + 1), m.Name, m.Address))];
        }

        var members = new SortedDictionary<NodeId, MemberInfo>();
        for (int i = 0; i < Founding.Members.Count; i++)
        {
            var id = new NodeId((ulong)i + 1);
            members[id] = new MemberInfo(id, Founding.Members[i].Name, Founding.Members[i].Address);
        }

        foreach (NodeEntry member in Joined.Members)
        {
            members[member.Id] = new MemberInfo(member.Id, member.Name, member.Address);
        }

        members[Joined.Number] = new MemberInfo(Joined.Number, Name, options.Address)
        {
            State = MemberState.Joining,
        };
        return [.. members.Values];
    }

    /// <summary>This node's number, given the members that it knows of.</summary>
    public NodeId NumberAmong(IReadOnlyList<MemberInfo> members) => Joined?.Number ?? members.First(m => m.Name == Name).Id;

    /// <summary>The members that settings name, checked.</summary>
    public static IReadOnlyList<ClusterMember> MembersOf(NodeOptions options)
    {
        if (options.Shards is < 0 or > 4096)
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"A cluster has 1 to 4096 shards, not {options.Shards}.");
        }

        IReadOnlyList<ClusterMember> members = options.Cluster.Count == 0
            ? [new ClusterMember(options.Name, options.Address)]
            : [.. options.Cluster.OrderBy(static m => m.Name, StringComparer.Ordinal)];
        for (int i = 0; i < members.Count; i++)
        {
            if (members[i].Name.Length == 0 || members[i].Name.AsSpan().IndexOfAny(ForbiddenInNames) >= 0)
            {
                throw new HengeException(
                    ErrorCode.InvalidArgument,
                    $"'{members[i].Name}' cannot be a node's name: it must not be empty, nor have blanks, '=' or ','.");
            }

            if (i > 0 && members[i].Name == members[i - 1].Name)
            {
                throw new HengeException(ErrorCode.InvalidArgument, $"The cluster's list names {members[i].Name} twice.");
            }
        }

        FoundingSettings.CheckMembers(members);
        if (!members.Any(m => m.Name == options.Name))
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"The cluster's list ({string.Join(", ", members.Select(static m => m.Name))}) does not name this node, {options.Name}. "
                    + $"Give all nodes the same list.");
        }

        CheckFactor(options);
        return members;
    }

    /// <summary>Reads a data directory's identity, or gives it one when it is new; compares it with the settings.</summary>
    public static NodeIdentity Open(
        NodeOptions options,
        IReadOnlyList<ClusterMember> members,
        IFileSystem files,
        Func<ulong> random,
        out bool isNew)
    {
        isNew = false;
        if (IdentityFile.TryRead(files, options, members, out NodeIdentity? identity))
        {
            Compare(identity, options, members);
            return identity;
        }

        files.CreateDirectoryDurably(options.DataDirectory);
        if (files.List(options.DataDirectory).Any(static n => n is "log" or "engine"))
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"The data directory '{options.DataDirectory}' has data but no file {IdentityFile.Name}, so it is not known whose data "
                    + $"that is. Restore the file from a copy. {Storage.DirectoryAdvice.Node}");
        }

        ulong incarnation;
        do
        {
            incarnation = random();
        }
        while (incarnation == 0);

        var made = new NodeIdentity { Name = options.Name, Incarnation = incarnation, Founding = FoundingSettings.Of(options, members) };
        IdentityFile.Write(files, options.DataDirectory, made);
        isNew = true;
        return made;
    }

    private static void CheckFactor(NodeOptions options)
    {
        if (options.ReplicationFactor < 0)
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"The replication factor is {options.ReplicationFactor}; it must not be negative.");
        }
    }

    private static void Compare(NodeIdentity identity, NodeOptions options, IReadOnlyList<ClusterMember> members)
    {
        FoundingSettings made = identity.Founding;
        if (identity.Name != options.Name)
        {
            throw Misconfigured(
                $"The data directory '{options.DataDirectory}' belongs to the node {identity.Name}, not to {options.Name}. Start it as "
                    + $"{identity.Name}, or give {options.Name} a directory of its own.");
        }

        if (identity.Joined is not null && options.Cluster.Count > 0)
        {
            throw Misconfigured(
                $"The node {options.Name} joined its cluster, which tells it who the members are, and this start lists them (cluster). "
                    + $"Leave the list out.");
        }

        if (
            identity.Joined is null
            && !made.Members.Select(static m => m.Name).SequenceEqual(members.Select(static m => m.Name), StringComparer.Ordinal))
        {
            throw Misconfigured(
                $"The cluster in '{options.DataDirectory}' was made of {string.Join(", ", made.Members.Select(static m => m.Name))}; the "
                    + $"list given now is {string.Join(", ", members.Select(static m => m.Name))}. "
                    + "Start the node with the list that the cluster was made with; members change through the cluster itself, not through "
                    + "the list.");
        }

        if (options.Shards != 0 && made.Shards != options.Shards)
        {
            throw Fixed("shards", made.Shards, options.Shards);
        }

        if (
            identity.Joined is null
            && options.ReplicationFactor != 0
            && made.ReplicationFactor != Math.Min(options.ReplicationFactor, made.Members.Count))
        {
            throw Misconfigured(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The cluster was made with replication-factor {made.ReplicationFactor}, and this start says "
                        + $"{options.ReplicationFactor}. A start does not change it: leave the setting out, or say "
                        + $"{made.ReplicationFactor}. To have another one: henge cluster set replication-factor "
                        + $"{options.ReplicationFactor}"));
        }

        if (made.Token != FoundingSettings.DescribeToken(options.ClusterToken))
        {
            throw Misconfigured(
                $"The cluster in '{options.DataDirectory}' was made with "
                    + $"{(made.Token == "none" ? "no cluster-token" : "another cluster-token")}, and this start has "
                    + $"{(options.ClusterToken.Length == 0 ? "none" : "one that differs")}. "
                + "A token is fixed when a cluster is made: start the node with that one, or give it a directory of its own.");
        }

        if (made.PlacementRule is < 1 or > Placement.RuleVersion || made.FormatLevel > FoundingSettings.NewestFormatLevel)
        {
            throw new HengeException(
                ErrorCode.UnsupportedFormat,
                $"The cluster in '{options.DataDirectory}' goes by placement rule {made.PlacementRule} and format level "
                    + $"{made.FormatLevel}, and this build up to placement rule {Placement.RuleVersion} and up to format level "
                + $"{FoundingSettings.NewestFormatLevel}. Use the build that the cluster was made with, or a newer one.");
        }
    }

    private static HengeException Fixed(string setting, int made, int given) =>
        Misconfigured(
            string.Create(
                CultureInfo.InvariantCulture,
                $"The cluster was made with {setting} {made}, and this start says {given}. It is fixed when a cluster is made: leave the "
                    + $"setting out, or say {made}. To have it otherwise, make a new cluster and bring the data over with henge export and "
                    + $"henge import."));

    private static HengeException Misconfigured(string message) => new(ErrorCode.Misconfigured, message);
}

/// <summary>What the directory of a member says that joined its cluster.</summary>
/// <param name="Number">Its number.</param>
/// <param name="ClusterId">The cluster's id.</param>
/// <param name="Members">Who belonged to the cluster when it joined: where to look for it at a start.</param>
internal sealed record JoinedIdentity(NodeId Number, string ClusterId, IReadOnlyList<NodeEntry> Members);

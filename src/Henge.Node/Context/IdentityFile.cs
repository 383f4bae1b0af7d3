using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Storage.Files;

namespace Henge.Node.Context;

/// <summary>The file that holds a node's identity (docs/formats.md, "Node identity"). Thread-safe.</summary>
public static class IdentityFile
{
    /// <summary>Its name in the data directory.</summary>
    public const string Name = "IDENTITY";

    private const string FirstLine = "henge-node 2";
    private const string JoinedFirstLine = "henge-node 3";
    private const string KnownLine = "known ";
    private const string OldFirstLine = "henge-node 1";
    private const string MemberLine = "member ";
    private const int MostBytes = 1024 * 1024;

    /// <summary>
    /// The names of the members that a directory's cluster was made of; null when the directory is not there or has no file that can be
    /// understood. For messages only: nothing is verified, the node checks the file when it starts.
    /// </summary>
    public static IReadOnlyList<string>? TryReadMembers(IFileSystem files, string directory)
    {
        string path = Path.Combine(directory, Name);
        string[] names = files.FileExists(path) && TryReadText(files, path) is { } text
            ? [.. MembersOf(text.Split('\n')).Select(static member => member.Split('=')[0])]
            : [];
        return names.Length > 0 ? names : null;
    }

    /// <summary>
    /// How many shards the cluster of a data directory has. Throws <see cref="HengeException"/>: InvalidArgument where there is no such
    /// file, Corruption, UnsupportedFormat.
    /// </summary>
    public static int ReadShards(IFileSystem files, string directory)
    {
        string path = Path.Combine(directory, Name);
        if (!files.FileExists(path))
        {
            throw new HengeException(
                ErrorCode.InvalidArgument,
                $"'{directory}' is not the data directory of a node: there is no file {Name} in it.");
        }

        return FoundingSettings.Parse(ReadLines(files, path))?.Shards
            ?? throw Damaged(path, "what the cluster was made with makes no sense");
    }

    /// <summary>
    /// The members that a node knows of when it starts, and its own number; by its data directory when it joined a cluster, by its
    /// settings otherwise. Throws what opening the node would throw.
    /// </summary>
    public static IReadOnlyList<NodeEntry> ListMembers(IFileSystem files, NodeOptions options, out NodeId self)
    {
        IReadOnlyList<ClusterMember> listed = NodeIdentity.MembersOf(options);
        NodeIdentity? identity = null;
        if (
            files.FileExists(Path.Combine(options.DataDirectory, Name))
            && TryReadText(files, Path.Combine(options.DataDirectory, Name)) is { } text
            && text.StartsWith(JoinedFirstLine, StringComparison.Ordinal))
        {
            _ = TryRead(files, options, listed, out identity);
        }

        IReadOnlyList<MemberInfo> members = identity is null
            ? [.. listed.Select(static (m, i) => new MemberInfo(new NodeId((ulong)i + 1), m.Name, m.Address))]
            : identity.KnownMembers(options, listed);
        self = identity?.NumberAmong(members) ?? members.First(m => m.Name == options.Name).Id;
        return [.. members.Select(static m => new NodeEntry(m.Id, m.Name, m.Address))];
    }

    /// <summary>
    /// Reads the file of a data directory; false when there is none. One of version 1, which lacks what version 2 has, is written anew when
    /// the settings say what it lacks. Throws <see cref="HengeException"/>: Corruption, UnsupportedFormat, Misconfigured.
    /// </summary>
    internal static bool TryRead(
        IFileSystem files,
        NodeOptions options,
        IReadOnlyList<ClusterMember> members,
        [NotNullWhen(true)] out NodeIdentity? identity)
    {
        string path = Path.Combine(options.DataDirectory, Name);
        identity = null;
        if (!files.FileExists(path))
        {
            return false;
        }

        string[] lines = ReadLines(files, path);
        string Value(string name) =>
            lines.FirstOrDefault(l => l.StartsWith(name + " ", StringComparison.Ordinal))?[(name.Length + 1)..]
            ?? throw Damaged(path, $"it lacks '{name}'");
        bool isOld = lines[0] == OldFirstLine;
        FoundingSettings founding = isOld
            ? Complete(
                path,
                Value,
                [.. MembersOf(lines)],
                options,
                members)
            : FoundingSettings.Parse(lines) ?? throw Damaged(path, "what the cluster was made with makes no sense");
        if (!ulong.TryParse(Value("incarnation"), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong incarnation))
        {
            throw Damaged(path, "its incarnation is no number");
        }

        identity = new NodeIdentity
        {
            Name = Value("name"),
            Incarnation = incarnation,
            Founding = founding,
            Joined = lines[0] == JoinedFirstLine ? ReadJoined(path, Value, lines) : null,
        };
        if (isOld)
        {
            Write(files, options.DataDirectory, identity);
        }

        return true;
    }

    /// <summary>Writes the file durably, in place of one that may be there.</summary>
    internal static void Write(IFileSystem files, string directory, NodeIdentity identity)
    {
        string body =
            (identity.Joined is null ? FirstLine : JoinedFirstLine)
            + string.Create(CultureInfo.InvariantCulture, $"\nname {identity.Name}\nincarnation {identity.Incarnation:x16}\n")
            + TextOf(identity.Joined)
            + identity.Founding.ToText();
        string whole = body + "crc " + Crc(body) + "\n";
        DurableFile.Replace(files, directory, Name, Encoding.UTF8.GetBytes(whole));
    }

    /// <summary>The id of a cluster whose directories have files of version 1.</summary>
    internal static string OldClusterId(IReadOnlyList<ClusterMember> members, string token, int shards)
    {
        var text = new StringBuilder("henge cluster 1\n");
        foreach (ClusterMember member in members)
        {
            text.Append(CultureInfo.InvariantCulture, $"{member.Name}={member.Address}\n");
        }

        text.Append(CultureInfo.InvariantCulture, $"{shards}\n{token}");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())).AsSpan(0, 16));
    }

    private static string? TryReadText(IFileSystem files, string path)
    {
        using IFile file = files.Open(path, FileOpenMode.Read);
        if (file.Length > MostBytes)
        {
            return null;
        }

        byte[] bytes = new byte[file.Length];
        return Encoding.UTF8.GetString(bytes.AsSpan(0, file.Read(0, bytes)));
    }

    private static IEnumerable<string> MembersOf(string[] lines) =>
        lines.Where(static line => line.StartsWith(MemberLine, StringComparison.Ordinal)).Select(static line => line[MemberLine.Length..]);

    private static string[] ReadLines(IFileSystem files, string path)
    {
        string text = TryReadText(files, path) ?? throw Damaged(path, "it is too long");
        int end = text.LastIndexOf("crc ", StringComparison.Ordinal);
        string[] lines = end < 0 ? [] : text[..end].Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length == 0 || !lines[0].StartsWith("henge-node ", StringComparison.Ordinal))
        {
            throw Damaged(path, "it does not begin as it should");
        }

        if (lines[0] is not (FirstLine or OldFirstLine or JoinedFirstLine))
        {
            throw new HengeException(
                ErrorCode.UnsupportedFormat,
                $"The file '{path}' begins with '{lines[0]}', and this build knows '{JoinedFirstLine}'. Use the build that wrote it, or a newer "
                    + $"one.");
        }

        return text[end..].Trim() == "crc " + Crc(text[..end]) ? lines : throw Damaged(path, "its checksum does not match");
    }

    // Version 1 has no replication factor and no addresses. The factor must be said once, since a wrong one would count majorities of other
    // nodes; the id proves the rest.
    private static FoundingSettings Complete(
        string path,
        Func<string, string> value,
        string[] names,
        NodeOptions options,
        IReadOnlyList<ClusterMember> members)
    {
        string id = value("cluster");
        if (!int.TryParse(value("shards"), NumberStyles.None, CultureInfo.InvariantCulture, out int shards))
        {
            throw Damaged(path, "its number of shards is no number");
        }

        if (
            !names.SequenceEqual(members.Select(static m => m.Name), StringComparer.Ordinal)
            || OldClusterId(members, options.ClusterToken, shards) != id)
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"The file '{path}' was written by an older build, and what it lacks must be said once: start the node with the list of "
                    + $"nodes, their addresses and the cluster-token that the cluster was made with (its nodes are "
                    + $"{string.Join(", ", names)}).");
        }

        if (members.Count > 1 && options.ReplicationFactor == 0)
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"The file '{path}' was written by an older build, which did not note the replication factor. Start the node once with "
                    + $"--replication-factor as the cluster was made with: {members.Count}, unless it was set.");
        }

        return FoundingSettings.Of(options with { Shards = shards }, members);
    }

    // Before what the cluster was made with: the line of a member that it was made of begins in another way.
    private static string TextOf(JoinedIdentity? joined)
    {
        if (joined is null)
        {
            return "";
        }

        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"number {joined.Number.Value}\ncluster {joined.ClusterId}\n");
        foreach (NodeEntry member in joined.Members)
        {
            text.Append(CultureInfo.InvariantCulture, $"{KnownLine}{member.Id.Value} {member.Name}={member.Address}\n");
        }

        return text.ToString();
    }

    private static JoinedIdentity ReadJoined(string path, Func<string, string> value, string[] lines)
    {
        static bool Number(ReadOnlySpan<char> text, out ulong number) =>
            ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number is >= 1 and <= MemberTable.MostIds;
        var members = new List<NodeEntry>();
        foreach (string line in lines.Where(static l => l.StartsWith(KnownLine, StringComparison.Ordinal)))
        {
            string member = line[KnownLine.Length..];
            int blank = member.IndexOf(' ', StringComparison.Ordinal), equals = member.IndexOf('=', StringComparison.Ordinal);
            if (blank < 0 || equals < blank || !Number(member.AsSpan(0, blank), out ulong id))
            {
                throw Damaged(path, "a member that it knows makes no sense");
            }

            members.Add(new NodeEntry(new NodeId(id), member[(blank + 1)..equals], member[(equals + 1)..]));
        }

        return Number(value("number"), out ulong own)
            ? new JoinedIdentity(new NodeId(own), value("cluster"), members)
            : throw Damaged(path, "its number makes no sense");
    }

    private static string Crc(string text) => Crc32C.Compute(Encoding.UTF8.GetBytes(text)).ToString("x8", CultureInfo.InvariantCulture);

    private static HengeException Damaged(string path, string why) => new(
        ErrorCode.Corruption, $"The file '{path}' is damaged: {why}. Restore it from a copy. {Storage.DirectoryAdvice.Node}");
}

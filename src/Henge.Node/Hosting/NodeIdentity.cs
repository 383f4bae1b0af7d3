using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Henge.Core;
using Henge.Storage.Files;

namespace Henge.Node.Hosting;

/// <summary>
/// What a data directory says about whom it belongs to: written once, when the directory is made, and compared with the settings at every
/// start (docs/formats.md, "Node identity"). The incarnation tells a directory from an empty one that took its place.
/// </summary>
internal sealed record NodeIdentity
{
    internal const string FileName = "IDENTITY";
    private static readonly SearchValues<char> NotInNames = SearchValues.Create(" \t\r\n=,");
    private const string FirstLine = "henge-node 1";

    /// <summary>The cluster's id: 32 hexadecimal digits.</summary>
    public required string ClusterId { get; init; }

    /// <summary>This node's name.</summary>
    public required string Name { get; init; }

    /// <summary>A random number that this data directory was given when it was made; never 0.</summary>
    public required ulong Incarnation { get; init; }

    /// <summary>Shards of the cluster.</summary>
    public required int Shards { get; init; }

    /// <summary>Names of all members when the cluster was made, in the order of their ids, which count from 1.</summary>
    public required IReadOnlyList<string> Names { get; init; }

    /// <summary>The first 64 bits of the cluster's id.</summary>
    public ulong ClusterNumber => ulong.Parse(ClusterId.AsSpan(0, 16), NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    /// <summary>The cluster's id, from what all its nodes are told.</summary>
    public static string DeriveClusterId(IReadOnlyList<ClusterMember> members, string token, int shards)
    {
        var text = new StringBuilder("henge cluster 1\n");
        foreach (ClusterMember member in members.OrderBy(static m => m.Name, StringComparer.Ordinal))
        {
            text.Append(CultureInfo.InvariantCulture, $"{member.Name}={member.Address}\n");
        }

        text.Append(CultureInfo.InvariantCulture, $"{shards}\n{token}");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())).AsSpan(0, 16));
    }

    /// <summary>The members that settings name, checked.</summary>
    public static IReadOnlyList<ClusterMember> MembersOf(NodeOptions options)
    {
        if (options.Shards is < 1 or > 4096)
        {
            throw new HengeException(ErrorCode.InvalidArgument, $"A cluster has 1 to 4096 shards, not {options.Shards}.");
        }

        IReadOnlyList<ClusterMember> members = options.Cluster.Count == 0
            ? [new ClusterMember(options.Name, options.Address)]
            : [.. options.Cluster.OrderBy(static m => m.Name, StringComparer.Ordinal)];
        for (int i = 0; i < members.Count; i++)
        {
            if (members[i].Name.Length == 0 || members[i].Name.AsSpan().IndexOfAny(NotInNames) >= 0)
            {
                throw new HengeException(ErrorCode.InvalidArgument, $"'{members[i].Name}' cannot be a node's name: it must not be empty, nor have blanks, '=' or ','.");
            }

            if (i > 0 && members[i].Name == members[i - 1].Name)
            {
                throw new HengeException(ErrorCode.InvalidArgument, $"The cluster's list names {members[i].Name} twice.");
            }
        }

        return members.Any(m => m.Name == options.Name)
            ? members
            : throw new HengeException(
                ErrorCode.Misconfigured,
                $"The cluster's list ({string.Join(", ", members.Select(static m => m.Name))}) does not name this node, {options.Name}. Give all nodes the same list.");
    }

    /// <summary>Reads a data directory's identity, or gives it one when it is new; compares it with the settings.</summary>
    public static NodeIdentity Open(NodeOptions options, IReadOnlyList<ClusterMember> members, IFileSystem files, Func<ulong> random, out bool isNew)
    {
        string path = Path.Combine(options.DataDirectory, FileName);
        isNew = false;
        if (files.FileExists(path))
        {
            NodeIdentity identity = Read(files, path);
            Compare(identity, options, members);
            return identity;
        }

        files.CreateDirectoryDurably(options.DataDirectory);
        if (files.List(options.DataDirectory).Any(static n => n is "log" or "engine"))
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"The data directory '{options.DataDirectory}' has data but no file {FileName}, so it is not known whose data that is. Restore the file, or move the directory away and let the node be rebuilt.");
        }

        ulong incarnation;
        do
        {
            incarnation = random();
        }
        while (incarnation == 0);

        var made = new NodeIdentity
        {
            ClusterId = DeriveClusterId(members, options.ClusterToken, options.Shards),
            Name = options.Name,
            Incarnation = incarnation,
            Shards = options.Shards,
            Names = [.. members.Select(static m => m.Name)],
        };
        made.Write(files, options.DataDirectory, path);
        isNew = true;
        return made;
    }

    private static void Compare(NodeIdentity identity, NodeOptions options, IReadOnlyList<ClusterMember> members)
    {
        if (identity.Name != options.Name)
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"The data directory '{options.DataDirectory}' belongs to the node {identity.Name}, not to {options.Name}. Start it as {identity.Name}, or give {options.Name} a directory of its own.");
        }

        if (!identity.Names.SequenceEqual(members.Select(static m => m.Name), StringComparer.Ordinal))
        {
            throw new HengeException(
                ErrorCode.Misconfigured,
                $"The cluster in '{options.DataDirectory}' was made of {string.Join(", ", identity.Names)}; the list given now is {string.Join(", ", members.Select(static m => m.Name))}. "
                + "Start the node with the list that the cluster was made with; members change through the cluster itself, not through the list.");
        }

        if (identity.Shards != options.Shards && options.Shards != new NodeOptions { Name = "", DataDirectory = "" }.Shards)
        {
            throw new HengeException(
                ErrorCode.Misconfigured, $"The cluster was made with {identity.Shards} shards and cannot change to {options.Shards}. Leave the setting out, or say {identity.Shards}.");
        }
    }

    private static NodeIdentity Read(IFileSystem files, string path)
    {
        using IFile file = files.Open(path, FileOpenMode.Read);
        if (file.Length > 1024 * 1024)
        {
            throw Damaged(path, "it is too long");
        }

        byte[] bytes = new byte[file.Length];
        string text = Encoding.UTF8.GetString(bytes.AsSpan(0, file.Read(0, bytes)));
        int end = text.LastIndexOf("crc ", StringComparison.Ordinal);
        string[] lines = end < 0 ? [] : text[..end].Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length == 0 || !lines[0].StartsWith("henge-node ", StringComparison.Ordinal))
        {
            throw Damaged(path, "it does not begin as it should");
        }

        if (lines[0] != FirstLine)
        {
            throw new HengeException(ErrorCode.UnsupportedFormat, $"The file '{path}' begins with '{lines[0]}', and this build knows '{FirstLine}'. Use the build that wrote it, or a newer one.");
        }

        if (text[end..].Trim() != "crc " + Crc32C.Compute(Encoding.UTF8.GetBytes(text[..end])).ToString("x8", CultureInfo.InvariantCulture))
        {
            throw Damaged(path, "its checksum does not match");
        }

        string Value(string name) => lines.FirstOrDefault(l => l.StartsWith(name + " ", StringComparison.Ordinal))?[(name.Length + 1)..]
            ?? throw Damaged(path, $"it lacks '{name}'");
        return new NodeIdentity
        {
            ClusterId = Value("cluster"),
            Name = Value("name"),
            Incarnation = ulong.Parse(Value("incarnation"), NumberStyles.HexNumber, CultureInfo.InvariantCulture),
            Shards = int.Parse(Value("shards"), CultureInfo.InvariantCulture),
            Names = [.. lines.Where(static l => l.StartsWith("member ", StringComparison.Ordinal)).Select(static l => l["member ".Length..])],
        };
    }

    private static HengeException Damaged(string path, string why) => new(
        ErrorCode.Corruption, $"The file '{path}' is damaged: {why}. Restore it from a copy, or move the data directory away and let the node be rebuilt.");

    private void Write(IFileSystem files, string directory, string path)
    {
        var text = new StringBuilder();
        text.Append(FirstLine).Append('\n');
        text.Append(CultureInfo.InvariantCulture, $"cluster {ClusterId}\nname {Name}\nincarnation {Incarnation:x16}\nshards {Shards}\n");
        foreach (string name in Names)
        {
            text.Append("member ").Append(name).Append('\n');
        }

        string body = text.ToString();
        string whole = body + "crc " + Crc32C.Compute(Encoding.UTF8.GetBytes(body)).ToString("x8", CultureInfo.InvariantCulture) + "\n";
        string temporary = path + ".new";
        if (files.FileExists(temporary))
        {
            files.Delete(temporary);
        }

        using (IFile file = files.Open(temporary, FileOpenMode.CreateNew))
        {
            file.Write(0, Encoding.UTF8.GetBytes(whole));
            file.Sync();
        }

        files.Rename(temporary, path);
        files.SyncDirectory(directory);
    }
}

using System.Globalization;
using System.Text;
using Henge.Cluster.Recovery;
using Henge.Core;
using Henge.Node.Context;
using Henge.Storage.Files;
using MemberState = Henge.Node.Api.MemberState;

namespace Henge.Node.Recovery;

/// <summary>
/// The file that says whom this node never listens to again, since an operator has given them up, and the last plan by which that was done
/// (docs/formats.md, "Fences"). It holds until the catalog says the same, and beyond.
/// </summary>
internal static class RecoveryFile
{
    /// <summary>Its name in the data directory.</summary>
    public const string Name = "RECOVERY";

    private const string FirstLine = "henge-fences 1";
    private const string PlanLine = "plan\n";

    /// <summary>
    /// Reads it, and has the members in it count as having left. Returns the last plan; empty: there is no file. Throws
    /// <see cref="HengeException"/> (Corruption).
    /// </summary>
    public static string Apply(NodeContext node)
    {
        IFileSystem files = node.Environment.FileSystem;
        string path = Path.Combine(node.Options.DataDirectory, Name);
        if (!files.FileExists(path))
        {
            return "";
        }

        byte[] bytes;
        using (IFile file = files.Open(path, FileOpenMode.Read))
        {
            bytes = new byte[Math.Min(file.Length, RecoveryPlan.MaxTextLength)];
            bytes = bytes[..file.Read(0, bytes)];
        }

        string text = Encoding.UTF8.GetString(bytes);
        int end = text.LastIndexOf("crc ", StringComparison.Ordinal);
        int plan = text.IndexOf("\n" + PlanLine, StringComparison.Ordinal);
        if (
            end < 0 || plan < 0
            || !text.StartsWith(FirstLine + "\n", StringComparison.Ordinal)
            || text[end..].Trim() != "crc " + Crc(text[..end]))
        {
            throw new HengeException(
                ErrorCode.Corruption,
                $"The file '{path}' is damaged: it says which nodes were given up in a recovery of the cluster, and must not come back. Put "
                    + "it back from a copy of the directory; or delete it if henge cluster nodes, asked at another node, shows none of the "
                    + "nodes that were given up then.");
        }

        foreach (string line in text[..plan].Split('\n').Skip(1))
        {
            if (line.Split(' ', 3) is ["fenced", var id, var name]
                && ulong.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number))
            {
                Fence(node, new RecoveryMember(new NodeId(number), name));
            }
        }

        return text[(plan + 1 + PlanLine.Length)..end];
    }

    /// <summary>Writes it durably: all that were given up before, and those of a plan.</summary>
    public static void Write(NodeContext node, RecoveryPlan plan)
    {
        StringBuilder text = new(FirstLine + "\n");
        IEnumerable<RecoveryMember> fenced = node.Members.All
            .Where(static m => !m.Belongs)
            .Select(static m => new RecoveryMember(m.Id, m.Name))
            .Concat(plan.Lost)
            .DistinctBy(static m => m.Id)
            .OrderBy(static m => m.Id);
        foreach (RecoveryMember member in fenced)
        {
            text.Append(CultureInfo.InvariantCulture, $"fenced {member.Id.Value} {member.Name}\n");
        }

        string body = text.Append(PlanLine).Append(plan.Text).ToString();
        DurableFile.Replace(
            node.Environment.FileSystem,
            node.Options.DataDirectory,
            Name,
            Encoding.UTF8.GetBytes(body + "crc " + Crc(body) + "\n"));
    }

    /// <summary>From now on nothing goes to a member, and nothing that it says counts.</summary>
    public static void Fence(NodeContext node, RecoveryMember member) =>
        node.Members.Set(
            (node.Members.TryGet(member.Id, out MemberInfo known) ? known : new MemberInfo(member.Id, member.Name, "")) with
            {
                State = MemberState.Left,
                IsHearsay = false,
            });

    private static string Crc(string text) =>
        Crc32C.Compute(Encoding.UTF8.GetBytes(text)).ToString("x8", CultureInfo.InvariantCulture);
}

using System.Globalization;
using System.Text;
using Henge.Core;

namespace Henge.Cluster.Recovery;

/// <summary>What a node that is left says, as text for the wire (docs/protocol.md, "Recovery"): one item a line. Pure functions.</summary>
public static class RemainsText
{
    private const string FirstLine = "henge-remains 1";
    private const string PlanLine = "plan\n";

    /// <summary>Writes it.</summary>
    public static string Write(NodeRemains remains)
    {
        StringBuilder text = new();
        text.Append(
            CultureInfo.InvariantCulture,
            $"{FirstLine}\ncluster {remains.ClusterId}\nshards {remains.Shards}\n"
                + $"node {remains.Member.Id.Value} {remains.Member.Incarnation:x16} {remains.Member.Name}\n");
        foreach (RecoveryMember member in remains.Members.OrderBy(static m => m.Id))
        {
            text.Append(CultureInfo.InvariantCulture, $"member {member.Id.Value} 0 {member.Name}\n");
        }

        foreach ((ShardId shard, Term term) in remains.Terms.OrderBy(static t => t.Key))
        {
            text.Append(CultureInfo.InvariantCulture, $"term {shard.Value} {term.Value}\n");
        }

        foreach (ShardId shard in remains.Dropped.Order())
        {
            text.Append(CultureInfo.InvariantCulture, $"dropped {shard.Value}\n");
        }

        foreach (Survivor r in remains.Replicas.OrderBy(static r => r.Shard))
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"replica {r.Shard.Value} {r.Term.Value} {r.LastTerm.Value} {r.Last.Value} {r.CommitTerm.Value} {r.Commit.Value} "
                    + $"{r.LastVersion.Value} {r.AppliedVersion.Value} {r.ConfigurationIndex.Value} {(r.IsDamaged ? 1 : 0)} {List(r.Voters)} "
                    + $"{List(r.OutgoingVoters)} {List(r.Terms.SelectMany(static t => new[] { t.First.Value, t.Term.Value }))}\n");
        }

        return remains.Adopted.Length > 0 ? text.Append(PlanLine).Append(remains.Adopted).ToString() : text.ToString();
    }

    /// <summary>Reads it; null when it makes no sense.</summary>
    public static NodeRemains? Parse(string text)
    {
        int at = text.IndexOf("\n" + PlanLine, StringComparison.Ordinal);
        string[] lines = (at < 0 ? text : text[..at]).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length == 0 || lines[0] != FirstLine)
        {
            return null;
        }

        string? clusterId = null;
        int shards = -1;
        RecoveryMember? self = null;
        List<RecoveryMember> members = [];
        Dictionary<ShardId, Term> terms = [];
        List<ShardId> dropped = [];
        List<string[]> replicas = [];
        try
        {
            foreach (string line in lines.Skip(1))
            {
                string[] words = line.Split(' ');
                switch (words)
                {
                    case ["cluster", var id]:
                        clusterId = id;
                        break;
                    case ["shards", var count]:
                        shards = int.Parse(count, NumberStyles.None, CultureInfo.InvariantCulture);
                        break;
                    case ["node", var id, var incarnation, .. var name]:
                        self = new RecoveryMember(
                            new NodeId(Number(id)),
                            string.Join(' ', name),
                            ulong.Parse(incarnation, NumberStyles.HexNumber, CultureInfo.InvariantCulture));
                        break;
                    case ["member", var id, _, .. var name]:
                        members.Add(new RecoveryMember(new NodeId(Number(id)), string.Join(' ', name)));
                        break;
                    case ["term", var shard, var term]:
                        terms[Shard(shard)] = new Term(Number(term));
                        break;
                    case ["dropped", var shard]:
                        dropped.Add(Shard(shard));
                        break;
                    case ["replica", .. { Length: 13 } rest]:
                        replicas.Add(rest);
                        break;
                    default:
                        return null;
                }
            }

            return clusterId is null || shards < 0 || self is null
                ? null
                : new NodeRemains
                {
                    Member = self.Value,
                    ClusterId = clusterId,
                    Shards = shards,
                    Members = members,
                    Replicas = [.. replicas.Select(r => Replica(self.Value.Id, r))],
                    Terms = terms,
                    Dropped = dropped,
                    Adopted = at < 0 ? "" : text[(at + 1 + PlanLine.Length)..],
                };
        }
        catch (Exception e) when (e is FormatException or OverflowException)
        {
            return null;
        }
    }

    private static Survivor Replica(NodeId node, string[] words)
    {
        ulong[] runs = Numbers(words[12]);
        return new Survivor
        {
            Node = node,
            Shard = Shard(words[0]),
            Term = new Term(Number(words[1])),
            LastTerm = new Term(Number(words[2])),
            Last = new LogIndex(Number(words[3])),
            CommitTerm = new Term(Number(words[4])),
            Commit = new LogIndex(Number(words[5])),
            LastVersion = new Core.Version(Number(words[6])),
            AppliedVersion = new Core.Version(Number(words[7])),
            ConfigurationIndex = new LogIndex(Number(words[8])),
            IsDamaged = words[9] == "1",
            Voters = [.. Numbers(words[10]).Select(static id => new NodeId(id))],
            OutgoingVoters = [.. Numbers(words[11]).Select(static id => new NodeId(id))],
            Terms = [.. runs.Chunk(2).Where(static p => p.Length == 2).Select(static p => (new LogIndex(p[0]), new Term(p[1])))],
        };
    }

    private static string List(IEnumerable<NodeId> ids) => List(ids.Select(static id => id.Value));

    private static string List(IEnumerable<ulong> numbers)
    {
        string list = string.Join(',', numbers.Select(static n => n.ToString(CultureInfo.InvariantCulture)));
        return list.Length > 0 ? list : "-";
    }

    private static ulong[] Numbers(string list) => list == "-" ? [] : [.. list.Split(',').Select(Number)];

    private static ulong Number(string text) => ulong.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);

    private static ShardId Shard(string text) => new(uint.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture));
}

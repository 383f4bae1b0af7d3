using System.Globalization;
using System.Text;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Output;

/// <summary>
/// The ring as a picture: a line for each node, by zone, and a column for each shard, or for several where there are more than fit.
/// </summary>
internal static class RingPicture
{
    /// <summary>What the letters mean.</summary>
    public const string Legend = "L leads   r replica   + comes   - goes   . none";

    private const int MostColumns = 64;
    private const int BarWidth = 10;

    /// <summary>Draws it.</summary>
    public static string Draw(Wire.TopologyResponse topology, Wire.PlacementResponse? placement)
    {
        int shards = topology.Shards.Count;
        int each = Math.Max(1, (shards + MostColumns - 1) / MostColumns);
        int columns = (shards + each - 1) / each;
        int width = Math.Max(4, topology.Nodes.Select(static n => n.NodeId.Length).DefaultIfEmpty().Max()) + 2;
        bool hasZones = topology.Nodes.Any(static n => n.Zone.Length > 0);
        StringBuilder text = new();
        text.Append(' ', width).Append(Scale(columns, each)).Append('\n');
        foreach (IGrouping<string, Wire.NodeInfo> zone in topology.Nodes.GroupBy(static n => n.Zone).OrderBy(
            static z => z.Key, StringComparer.Ordinal))
        {
            if (hasZones)
            {
                text.Append(CultureInfo.InvariantCulture, $"{(zone.Key.Length > 0 ? "zone " + zone.Key : "no zone")}\n");
            }

            foreach (Wire.NodeInfo node in zone)
            {
                Cell[] cells = [.. topology.Shards.Select(s => CellOf(s, placement, node.NodeId))];
                int carried = cells.Count(static c => c is Cell.Leads or Cell.Has or Cell.Going);
                text.Append(node.NodeId.PadRight(width));
                for (int c = 0; c < columns; c++)
                {
                    text.Append(LetterOf(cells.AsSpan(c * each, Math.Min(each, shards - (c * each)))));
                }

                int bar = shards == 0 ? 0 : ((carried * BarWidth) + (shards / 2)) / shards, led = cells.Count(static c => c == Cell.Leads);
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"  {new string('#', bar)}{new string('.', BarWidth - bar)} {carried} of {shards}, leads {led}");
                text.Append(node.State is "up" or "" ? "\n" : $", {node.State}\n");
            }
        }

        return text.ToString();
    }

    /// <summary>Which positions of the ring a shard covers, as hexadecimal numbers.</summary>
    public static string ArcOf(uint shard, int shards)
    {
        ShardMap map = new(shards);
        uint last = shard + 1 < (uint)shards ? map.ArcStart(new ShardId(shard + 1)) - 1 : uint.MaxValue;
        return string.Create(CultureInfo.InvariantCulture, $"{map.ArcStart(new ShardId(shard)):x8}-{last:x8}");
    }

    /// <summary>How a shard gets where it shall be, in a few words; empty when it is there.</summary>
    public static string MoveOf(Wire.PlacementResponse? placement, uint shard)
    {
        if (placement is null || ClusterView.ShardOf(placement, shard) is not { } target)
        {
            return "";
        }

        string[] coming = [.. target.Planned.Except(target.Voters)], going = [.. target.Voters.Except(target.Planned)];
        if (coming.Length == 0 && going.Length == 0)
        {
            return "";
        }

        bool waits = !target.Followed.ToHashSet().SetEquals(target.Planned);
        return string.Join(' ', going.Select(static n => "-" + n).Concat(coming.Select(static n => "+" + n))) + (waits ? " (waits)" : "");
    }

    private enum Cell
    {
        None,
        Has,
        Leads,
        Coming,
        Going,
    }

    private static Cell CellOf(Wire.ShardInfo shard, Wire.PlacementResponse? placement, string node)
    {
        bool has = shard.Replicas.Contains(node);
        if (placement is not null && ClusterView.ShardOf(placement, shard.Shard) is { } target)
        {
            if (has && !target.Planned.Contains(node))
            {
                return Cell.Going;
            }

            if (!has && target.Planned.Contains(node))
            {
                return Cell.Coming;
            }
        }

        return shard.LeaderId == node ? Cell.Leads : has ? Cell.Has : Cell.None;
    }

    // Of several shards: what most of it is about.
    private static char LetterOf(ReadOnlySpan<Cell> cells)
    {
        Cell most = Cell.None;
        foreach (Cell cell in cells)
        {
            most = cell > most ? cell : most;
        }

        return most switch
        {
            Cell.Leads => 'L',
            Cell.Has => 'r',
            Cell.Coming => '+',
            Cell.Going => '-',
            _ => '.',
        };
    }

    // The number of every eighth column's first shard.
    private static string Scale(int columns, int each)
    {
        char[] scale = new string(' ', columns + 8).ToCharArray();
        for (int c = 0; c < columns; c += 8)
        {
            string number = (c * each).ToString(CultureInfo.InvariantCulture);
            number.CopyTo(0, scale, c, number.Length);
        }

        return new string(scale).TrimEnd();
    }
}

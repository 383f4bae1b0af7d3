using System.Globalization;
using Henge.Client;
using Wire = Henge.Protocol.V1;

namespace Henge.Cli.Output;

/// <summary>Shards on their way, for people and for programs. The rate is of the time between two looks. Not thread-safe.</summary>
internal sealed class MovesReport(TimeProvider time)
{
    private Dictionary<uint, (long Bytes, ulong Entries)> _before = [];
    private long _at;
    private double _seconds;
    private Dictionary<uint, (long Bytes, ulong Entries)> _now = [];

    /// <summary>Takes in another look.</summary>
    public void Take(Wire.PlacementResponse placement)
    {
        _before = _now;
        _seconds = _at == 0 ? 0 : time.GetElapsedTime(_at).TotalSeconds;
        _at = time.GetTimestamp();
        _now = placement.Moves.ToDictionary(static m => m.Shard, static m => ((long)m.BytesSent, m.EntriesLeft));
    }

    /// <summary>For people.</summary>
    public void Write(OutputWriter output, Wire.PlacementResponse placement)
    {
        int waiting = ClusterView.Waiting(placement).Count;
        output.WriteLine(
            placement.Moves.Count == 0 && waiting == 0
                ? "Nothing moves: every shard is where the plan has it, or has no other place."
                : $"{ClusterView.Count(placement.Moves.Count, "move")} under way, {waiting} waiting for a turn.");
        if (placement.Moves.Count > 0)
        {
            output.WriteLine();
            Table table = new Table("SHARD", "LEADER", "FROM", "TO", "ENTRIES LEFT", "BYTES LEFT", "SENT", "RATE", "WAITS FOR")
                .AlignRight(0, 4, 5, 6, 7);
            foreach (Wire.ShardMove move in placement.Moves)
            {
                (string[] from, string[] to) = Ends(placement, move);
                table.Add(
                    move.Shard.ToString(CultureInfo.InvariantCulture),
                    move.LeaderId,
                    from.Length > 0 ? string.Join(",", from) : "-",
                    to.Length > 0 ? string.Join(",", to) : "-",
                    move.EntriesLeft.ToString("#,0", CultureInfo.InvariantCulture),
                    move.BytesLeft > 0 ? TextForm.OfSize(move.BytesLeft) : "-",
                    move.BytesSent > 0 ? TextForm.OfSize(move.BytesSent) : "-",
                    RateOf(move) is { } rate ? rate : "-",
                    ClusterView.DescribeWait(move, placement.Unreachable));
            }

            output.Write(table.ToString());
        }

        if (placement.Unreachable.Count > 0)
        {
            output.WriteLine(
                $"{string.Join(", ", placement.Unreachable)} {(placement.Unreachable.Count == 1 ? "does" : "do")} not answer: what "
                    + "they know of moves is not here.");
        }

        ChangeReport.WriteProblems(output, placement.Problems);
    }

    /// <summary>For programs, as one line.</summary>
    public void WriteJson(OutputWriter output, Wire.PlacementResponse placement) => JsonForm.WriteLine(output, json =>
    {
        json.WriteNumber("generation", placement.Generation);
        json.WriteObjects("moves", placement.Moves, move =>
        {
            (string[] from, string[] to) = Ends(placement, move);
            json.WriteNumber("shard", move.Shard);
            json.WriteString("leader", move.LeaderId);
            json.WriteList("from", from, json.WriteStringValue);
            json.WriteList("to", to, json.WriteStringValue);
            json.WriteString("step", move.Step);
            json.WriteString("wait", move.Wait);
            json.WriteList("waits_for", move.WaitsFor, json.WriteStringValue);
            json.WriteNumber("entries_left", move.EntriesLeft);
            json.WriteNumber("bytes_left", move.BytesLeft);
            json.WriteNumber("bytes_sent", move.BytesSent);
            if (BytesPerSecond(move) is { } bytes)
            {
                json.WriteNumber("bytes_per_second", Math.Round(bytes));
            }

            if (EntriesPerSecond(move) is { } entries)
            {
                json.WriteNumber("entries_per_second", Math.Round(entries));
            }

            json.WriteNumber("stalled_ms", move.StalledMs);
            json.WriteBoolean("stuck", move.Stuck);
        });
        json.WriteList("waiting_shards", ClusterView.Waiting(placement).Select(static s => s.Shard), json.WriteNumberValue);
        json.WriteList("unreachable", placement.Unreachable, json.WriteStringValue);
        ChangeReport.WriteProblems(json, placement.Problems);
    });

    // Who gives a replica away, and who gets one.
    private static (string[] From, string[] To) Ends(Wire.PlacementResponse placement, Wire.ShardMove move) =>
        ClusterView.ShardOf(placement, move.Shard) is { } shard
            ? ([.. shard.Voters.Concat(shard.Learners).Except(shard.Followed)], [.. shard.Followed.Except(shard.Voters)])
            : ([], []);

    private string? RateOf(Wire.ShardMove move) =>
        BytesPerSecond(move) is > 0 and { } bytes ? TextForm.OfSize((ulong)bytes) + "/s"
        : EntriesPerSecond(move) is > 0 and { } entries
            ? entries.ToString("#,0", CultureInfo.InvariantCulture) + " entries/s"
        : null;

    private double? BytesPerSecond(Wire.ShardMove move) =>
        _seconds > 0 && _before.TryGetValue(move.Shard, out (long Bytes, ulong Entries) then)
            ? Math.Max(0, (long)move.BytesSent - then.Bytes) / _seconds
            : null;

    private double? EntriesPerSecond(Wire.ShardMove move) =>
        _seconds > 0 && _before.TryGetValue(move.Shard, out (long Bytes, ulong Entries) then)
            ? Math.Max(0, (double)then.Entries - move.EntriesLeft) / _seconds
            : null;
}

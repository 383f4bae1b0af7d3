using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Bitcask.State;
using Henge.Storage.Logs;
using Henge.Storage.Lsm.Manifests;

namespace Henge.Storage.Bitcask.Merging;

/// <summary>Chooses segments to merge. Not thread-safe.</summary>
internal sealed class MergePicker(BitcaskState state)
{
    // So many small segments are made one; each start leaves one behind.
    private const int ManySmall = 8;

    // With more drops than that, segments that need them are rewritten whatever is live in them.
    private const int ManyDrops = 64;
    private readonly HashSet<uint> _damaged = [];

    /// <summary>A segment that cannot be read is left as it is, until something was dropped: then what was damaged may be dead.</summary>
    public void Exclude(Segment segment) => _damaged.Add(segment.Id);

    /// <summary>True for a segment that cannot be read.</summary>
    public bool IsExcluded(Segment segment) => _damaged.Contains(segment.Id);

    /// <summary>Something was dropped.</summary>
    public void Reconsider() => _damaged.Clear();

    /// <summary>The segments that are worth a merge most, as many as give one segment; none when there are none.</summary>
    public List<Segment> Pick()
    {
        List<Segment> candidates = Candidates();
        int percent = state.Options.MergeBelowLivePercent;
        RangeDrop[] drops = state.Drops;
        var chosen = new List<Segment>();
        long bytes = 0;
        foreach (Segment segment in candidates.OrderBy(ShareOfLive).ThenBy(static s => s.Id))
        {
            bool isWorth = segment.LiveBytes * 100 < segment.EntryBytes * percent
                || segment.EntryBytes == 0
                || (drops.Length > ManyDrops && drops.Any(drop => Needs(segment, drop)));
            if (isWorth && (chosen.Count == 0 || bytes + segment.LiveBytes <= state.Options.SegmentBytes))
            {
                chosen.Add(segment);
                bytes += segment.LiveBytes;
            }
        }

        List<Segment> small = candidates.FindAll(segment => segment.EntryBytes < SmallBytes);
        if (chosen.Count == 0 && small.Count >= ManySmall)
        {
            chosen.AddRange(small);
        }

        return chosen;
    }

    /// <summary>Every segment that has anything dead in it.</summary>
    public List<Segment> PickAll() =>
        Candidates().FindAll(static segment => segment.LiveBytes < segment.EntryBytes || segment.EntryBytes == 0);

    private static double ShareOfLive(Segment segment) => (double)segment.LiveBytes / Math.Max(1, segment.EntryBytes);

    private static bool Needs(Segment segment, RangeDrop drop) =>
        segment.Epoch < drop.Epoch && segment.Keyspaces.ContainsKey(drop.Keyspace);

    private long SmallBytes => Math.Max(0, state.Options.SegmentBytes - LogFormat.SegmentHeaderBytes) / ManySmall;

    private List<Segment> Candidates() =>
    [
        .. state.ListedSegments
            .Where(segment => segment.IsSealed && (segment.LiveBytes == 0 || !IsExcluded(segment)))
            .OrderBy(static segment => segment.Id),
    ];
}

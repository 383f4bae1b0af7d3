using FsCheck.Xunit;
using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>The rings that hold what is recent, against plain lists.</summary>
public sealed class EntryWindowTests
{
    [Property(MaxTest = 500, Replay = "(11,13)")]
    public void A_window_holds_what_a_list_would(byte first, (byte Kind, byte Where, byte Size)[] steps)
    {
        ulong start = first;
        List<Entry> model = [];
        EntryWindow window = new(new(start));
        foreach ((byte kind, byte where, byte size) in steps)
        {
            switch (kind % 8)
            {
                case 0:
                    // At and below its beginning too: what comes next then comes there.
                    ulong from = start == 0 ? where % (ulong)(model.Count + 1) : start - 1 + (where % (ulong)(model.Count + 2));
                    window.TruncateFrom(new(from));
                    model.RemoveAll(e => e.Index.Value >= from);
                    start = model.Count == 0 ? Math.Min(start, from) : start;
                    break;
                case 1:
                    ulong through = start + (where % (ulong)(model.Count + 1));
                    window.EvictThrough(new(through));
                    model.RemoveAll(e => e.Index.Value <= through);
                    start = model.Count > 0 ? model[0].Index.Value : (ulong)window.First.Value;
                    break;
                case 2 when where % 16 == 0:
                    window.Reset(new(size));
                    model.Clear();
                    start = size;
                    break;
                default:
                    Entry entry = new(new(start + (ulong)model.Count), new(1), EntryKind.Normal, new byte[size]);
                    window.Append(entry);
                    model.Add(entry);
                    break;
            }

            Assert.Equal((start, model.Count), (window.First.Value, window.Count));
            Assert.Equal(start + (ulong)model.Count, window.End.Value);
            Assert.Equal(model.Sum(static e => e.SizeBytes), window.Bytes);
            Assert.All(model, e => Assert.Equal((e.Index, e.Data.Length), (window[e.Index].Index, window[e.Index].Data.Length)));
            if (model.Count > 0)
            {
                int at = where % model.Count, most = (size % 5) + 1;
                long bytes = 0, limit = size * 3L;
                int fits = Math.Max(1, model.Skip(at).Take(most).TakeWhile(e => (bytes += e.SizeBytes) <= limit).Count());
                Assert.Equal(fits, window.CountWithin(model[at].Index, model[^1].Index, limit, most));
            }
        }
    }

    [Fact]
    public void What_is_evicted_beyond_the_end_is_no_hole()
    {
        EntryWindow window = new(new(4));
        window.Append(new Entry(new(4), new(1), EntryKind.Normal, new byte[1]));
        window.EvictThrough(new(9));
        Assert.Equal((5UL, 0, 0L), (window.First.Value, window.Count, window.Bytes));
    }

    [Property(MaxTest = 500, Replay = "(11,13)")]
    public void Appends_under_way_are_bounded_in_number_and_in_bytes(byte mostMessages, byte mostBytes, (byte Kind, byte Bytes)[] steps)
    {
        int limit = (mostMessages % 20) + 1;
        long limitBytes = mostBytes + 1L;
        List<(ulong Last, long Bytes)> model = [];
        Inflights window = new(limit, limitBytes);
        ulong last = 0;
        foreach ((byte kind, byte bytes) in steps)
        {
            bool isFull = model.Count >= limit || (model.Count > 0 && model.Sum(static m => m.Bytes) >= limitBytes);
            Assert.Equal(isFull, window.IsFull);
            if (kind % 8 == 0)
            {
                window.Clear();
                model.Clear();
            }
            else if (isFull || kind % 8 == 1)
            {
                ulong through = model.Count == 0 ? last : model[bytes % model.Count].Last;
                window.FreeThrough(new(through));
                model.RemoveAll(m => m.Last <= through);
            }
            else
            {
                window.Add(new(++last), bytes);
                model.Add((last, bytes));
            }

            Assert.Equal((model.Count, model.Sum(static m => m.Bytes)), (window.Count, window.Bytes));
        }
    }
}

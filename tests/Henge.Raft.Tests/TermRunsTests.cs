using FsCheck.Xunit;
using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>Terms as runs against a plain list of terms.</summary>
public sealed class TermRunsTests
{
    [Property(MaxTest = 500, Replay = "(11,13)")]
    public void Runs_say_the_same_as_a_list_of_all_terms(byte first, (byte Kind, byte Where, byte Jump)[] steps)
    {
        ulong start = (ulong)first % 5;
        List<ulong> model = [start];
        TermRuns runs = new(new(start), new(start));
        foreach ((byte kind, byte where, byte jump) in steps)
        {
            ulong last = start + (ulong)model.Count - 1;
            switch (kind % 6)
            {
                case 0 when last > start:
                    ulong cut = start + 1 + (where % (last - start));
                    runs.TruncateFrom(new(cut));
                    model.RemoveRange((int)(cut - start), model.Count - (int)(cut - start));
                    break;
                case 1:
                    ulong through = start + (where % (ulong)model.Count);
                    runs.CompactThrough(new(through));
                    model.RemoveRange(0, (int)(through - start));
                    start = through;
                    break;
                default:
                    // Mostly the same term again, else one or two more.
                    ulong term = model[^1] + (where % 3 == 0 ? 1 + ((ulong)jump % 2) : 0);
                    runs.Append(new(term));
                    model.Add(term);
                    break;
            }

            Assert.Equal(start, runs.First.Value);
            Assert.Equal(start + (ulong)model.Count - 1, runs.Last.Value);
            for (ulong index = start == 0 ? 0 : start - 1; index <= start + (ulong)model.Count; index++)
            {
                Term? expected = index >= start && index < start + (ulong)model.Count ? new Term(model[(int)(index - start)]) : null;
                Assert.Equal(expected, runs.At(new(index)));
            }

            ulong asked = start + (jump % (ulong)(model.Count + 2));
            ulong atMost = model[0] + ((ulong)where % 6);
            ulong best = start;
            for (ulong index = start; index <= asked && index < start + (ulong)model.Count; index++)
            {
                best = model[(int)(index - start)] <= atMost ? index : best;
            }

            Assert.Equal(best, runs.LastAtOrBelow(new(asked), new(atMost)).Value);
        }
    }

    [Fact]
    public void Terms_in_a_log_never_fall() =>
        Assert.Throws<InvariantBrokenException>(static () => new TermRuns(new(3), new(5)).Append(new(4)));
}

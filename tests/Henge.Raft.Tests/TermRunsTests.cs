using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>Terms as runs against a plain list of terms.</summary>
public sealed class TermRunsTests
{
    [Fact]
    public void Runs_say_the_same_as_a_list_of_all_terms()
    {
        SplitMix64Random random = new(5);
        for (int round = 0; round < 300; round++)
        {
            ulong first = random.NextUInt64() % 5;
            List<ulong> model = [first];
            TermRuns runs = new(new(first), new(first));
            ulong start = first;
            for (int step = 0; step < 60; step++)
            {
                ulong last = start + (ulong)model.Count - 1;
                switch (random.NextUInt64() % 6)
                {
                    case 0 when last > start:
                        ulong cut = start + 1 + (random.NextUInt64() % (last - start));
                        runs.TruncateFrom(new(cut));
                        model.RemoveRange((int)(cut - start), model.Count - (int)(cut - start));
                        break;
                    case 1:
                        ulong through = start + (random.NextUInt64() % (ulong)model.Count);
                        runs.CompactThrough(new(through));
                        model.RemoveRange(0, (int)(through - start));
                        start = through;
                        break;
                    default:
                        ulong term = model[^1] + (random.NextUInt64() % 3 == 0 ? 1 + (random.NextUInt64() % 2) : 0);
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

                ulong asked = start + (random.NextUInt64() % (ulong)(model.Count + 2));
                ulong atMost = model[0] + (random.NextUInt64() % 6);
                ulong best = start;
                for (ulong index = start; index <= asked && index < start + (ulong)model.Count; index++)
                {
                    best = model[(int)(index - start)] <= atMost ? index : best;
                }

                Assert.Equal(best, runs.LastAtOrBelow(new(asked), new(atMost)).Value);
            }
        }
    }

    [Fact]
    public void Terms_in_a_log_never_fall() =>
        Assert.Throws<InvariantBrokenException>(static () => new TermRuns(new(3), new(5)).Append(new(4)));
}

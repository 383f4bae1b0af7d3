using Henge.Node.Workers;

namespace Henge.Node.Tests.Workers;

public sealed class ElectionBudgetTests
{
    [Fact]
    public void There_is_room_for_so_many_and_again_when_one_ends()
    {
        ElectionBudget budget = new(2, 15);
        budget.Begin(100);
        Assert.True(budget.HasRoom);
        budget.Begin(101);
        Assert.False(budget.HasRoom);
        budget.End(100);
        Assert.True(budget.HasRoom);
    }

    [Fact]
    public void What_takes_too_long_counts_no_more_and_its_end_gives_no_room_twice()
    {
        ElectionBudget budget = new(1, 15);
        budget.Begin(100);
        budget.PassTo(114);
        Assert.False(budget.HasRoom);
        budget.PassTo(115);
        Assert.True(budget.HasRoom);
        budget.Begin(115);
        Assert.False(budget.HasRoom);
        budget.End(100);
        Assert.False(budget.HasRoom);
        budget.PassTo(10_000);
        Assert.True(budget.HasRoom);
    }

    [Fact]
    public void It_counts_as_one_that_is_counted_by_hand()
    {
        Random random = new(3);
        ElectionBudget budget = new(5, 15);
        List<long> began = [];
        long tick = 0;
        for (int i = 0; i < 10_000; i++)
        {
            switch (random.Next(4))
            {
                case 0:
                    tick += random.Next(20);
                    budget.PassTo(tick);
                    break;
                case 1 when began.Count > 0:
                    int at = random.Next(began.Count);
                    budget.End(began[at]);
                    began.RemoveAt(at);
                    break;
                case 2 when budget.HasRoom:
                    budget.Begin(tick);
                    began.Add(tick);
                    break;
            }

            Assert.Equal(began.Count(b => b > tick - 15) < 5, budget.HasRoom);
        }
    }
}

using Henge.Core;
using Henge.Fuzz.Driving;

namespace Henge.Fuzz.Tests;

/// <summary>
/// Each target on what is kept in its corpus, and on changes of it that are the same in each run. The long search is eng/fuzz.sh.
/// </summary>
public sealed class CorpusTests
{
    private const int Changes = 2_000;
    private static readonly TimeSpan SlowestTarget = TimeSpan.FromMinutes(5);

    static CorpusTests() => Invariant.Failed = static message => throw new InvalidOperationException(message);

    public static TheoryData<string> Targets => [.. FuzzTargets.All.Select(static target => target.Name)];

    [Theory]
    [MemberData(nameof(Targets))]
    public async Task Inputs_that_are_kept_and_changes_of_them_keep_the_promises(string name)
    {
        FuzzTarget target = FuzzTargets.Named(name);
        byte[] last = [];

        // On a thread of its own, so that one that never ends can be told of.
        Task run = Task.Factory.StartNew(
            () =>
            {
                List<byte[]> inputs = [.. FuzzCorpus.Read(target).Select(static input => input.Bytes), []];
                foreach (byte[] input in inputs)
                {
                    FuzzCheck.Run(target, last = input);
                }

                var mutator = new Mutator(seed: 1);
                for (int i = 0; i < Changes; i++)
                {
                    FuzzCheck.Run(target, last = mutator.Change(inputs[i % inputs.Count], inputs[i / inputs.Count % inputs.Count],
                        target.LongestInput));
                }
            },
            TestContext.Current.CancellationToken,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default);
        try
        {
            await run.WaitAsync(SlowestTarget, TestContext.Current.CancellationToken);
        }
        catch (Exception e) when (e is FuzzFailureException or TimeoutException)
        {
            Assert.Fail($"{e}{Environment.NewLine}The input: {Convert.ToHexString(last)}");
        }
    }

    [Theory]
    [MemberData(nameof(Targets))]
    public void Seeds_in_the_corpus_are_what_the_encoders_make(string name)
    {
        FuzzTarget target = FuzzTargets.Named(name);
        byte[][] kept = [.. FuzzCorpus.Read(target).Where(static input => input.Name.StartsWith("seed-", StringComparison.Ordinal)).Select(
            static input => input.Bytes)];
        Assert.NotEmpty(kept);
        Assert.Equal(target.Seeds().Select(Convert.ToHexString), kept.Select(Convert.ToHexString));
    }

    [Fact]
    public void Names_of_targets_are_those_of_the_folders_of_the_corpus() =>
        Assert.Equal(FuzzTargets.All.Select(static target => target.Name).Order(StringComparer.Ordinal),
            Directory.GetDirectories(FuzzCorpus.Folder).Select(static folder => Path.GetFileName(folder)!).Order(StringComparer.Ordinal));
}

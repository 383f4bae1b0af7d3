using System.Globalization;

namespace Henge.EndToEnd.Tests.Harness;

/// <summary>How much is tried: HENGE_E2E_ROUNDS in the environment says how often the tests kill.</summary>
public static class Rounds
{
    /// <summary>Rounds of each test that kills again and again.</summary>
    public static int Count { get; } =
        int.TryParse(
            Environment.GetEnvironmentVariable("HENGE_E2E_ROUNDS"),
            NumberStyles.None,
            CultureInfo.InvariantCulture,
            out int rounds)
            ? rounds
            : 3;

    /// <summary>The time limit of a test; of a long one, so many times as much.</summary>
    public static CancellationTokenSource Limit(int times = 1)
    {
        CancellationTokenSource limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(times * TimeSpan.FromSeconds(60 + (20 * Count)));
        return limit;
    }
}

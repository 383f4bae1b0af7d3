using Henge.Core;

namespace Henge.Bench.Load;

/// <summary>How a load is put on a target.</summary>
public sealed record LoadOptions
{
    /// <summary>Operations under way at once (times <see cref="Pipeline"/>).</summary>
    public int Concurrency { get; init; } = 64;

    /// <summary>Operations that each worker keeps under way on its connection.</summary>
    public int Pipeline { get; init; } = 1;

    /// <summary>How many operations; 0: until <see cref="Duration"/> is over.</summary>
    public long Operations { get; init; } = 1_000_000;

    /// <summary>How long, when <see cref="Operations"/> is 0.</summary>
    public TimeSpan Duration { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Not measured, before the start.</summary>
    public TimeSpan WarmUp { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Operations a second; 0: as fast as answers come (a closed loop). With a rate, latency counts from the moment at which an operation
    /// was due, so that a stall of the target is seen by all that it held up (no coordinated omission).
    /// </summary>
    public double Rate { get; init; }

    /// <summary>Bytes of a value.</summary>
    public int ValueBytes { get; init; } = 64;

    /// <summary>Keys that there are.</summary>
    public long Keys { get; init; } = 100_000;

    /// <summary>Write all keys once before the start.</summary>
    public bool Preload { get; init; }

    /// <summary>The mix.</summary>
    public Workload Workload { get; init; } = Workload.FromRatio(0.8, KeyDistributionKind.Uniform);

    /// <summary>Seed of keys and mix.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Throws <see cref="HengeException"/> (InvalidArgument) that names what does not fit.</summary>
    public void Validate()
    {
        Require(Concurrency is >= 1 and <= 100_000, "--concurrency must be between 1 and 100000");
        Require(Pipeline is >= 1 and <= 10_000, "--pipeline must be between 1 and 10000");
        Require(Operations >= 0, "--operations must not be negative");
        Require(Operations > 0 || Duration > TimeSpan.Zero, "--duration must be more than 0 when --operations is 0");
        Require(Rate >= 0, "--rate must not be negative");
        Require(ValueBytes is >= 0 and <= 64 * 1024 * 1024, "--value-size must be between 0 and 67108864");
        Require(Keys is >= 1 and < 1_000_000_000_000, "--keys must be at least 1");
    }

    private static void Require(bool holds, string message)
    {
        if (!holds)
        {
            throw new HengeException(ErrorCode.InvalidArgument, message + ".");
        }
    }
}

using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Henge.Client;
using Henge.Core;
using Henge.Simulation.Checking;

namespace Henge.EndToEnd.Tests.Harness;

/// <summary>
/// Remembers what clients did and saw, key by key, for the checker: each value is written once, and each operation has the instants of its
/// call and return. Thread-safe.
/// </summary>
public sealed class Recorder
{
    private readonly ConcurrentDictionary<string, ConcurrentQueue<KeyOperation>> _keys = new();
    private readonly ConcurrentQueue<string> _failures = new();
    private long _values;
    private long _acknowledged;

    /// <summary>Writes that were acknowledged.</summary>
    public long Acknowledged => Interlocked.Read(ref _acknowledged);

    /// <summary>What callers were told in place of an answer: errors that were left after the client's own retries.</summary>
    public IReadOnlyCollection<string> Failures => _failures;

    /// <summary>All operations.</summary>
    public IEnumerable<KeyOperation> Operations => _keys.Values.SelectMany(static k => k);

    /// <summary>Writes a new value. True: acknowledged.</summary>
    public async Task<bool> PutAsync(HengeClient client, int number, string key, CancellationToken cancel)
    {
        long value = Interlocked.Increment(ref _values);
        KeyOperation operation = new()
        {
            Client = number,
            Call = Stopwatch.GetTimestamp(),
            Action = KeyAction.Write,
            Value = value,
            Outcome = KeyOutcome.Unknown,
        };
        try
        {
            PutResult put = await client.PutAsync(key, value.ToString(CultureInfo.InvariantCulture), cancellationToken: cancel);
            Add(key, operation with { Outcome = KeyOutcome.Ok, Return = Stopwatch.GetTimestamp(), Version = put.Version.Value });
            Interlocked.Increment(ref _acknowledged);
            return true;
        }
        catch (Exception e) when (e is UnknownOutcomeException or SessionExpiredException or OperationCanceledException)
        {
            Add(key, operation);
            Note(e);
            return false;
        }
        catch (HengeException e) when (IsRefusal(e))
        {
            Note(e);

            // Nothing was done, says the client: a read that sees the value all the same finds no write for it.
            return false;
        }
    }

    /// <summary>Reads. True: answered.</summary>
    public async Task<bool> GetAsync(HengeClient client, int number, string key, ReadConsistency consistency, CancellationToken cancel)
    {
        long call = Stopwatch.GetTimestamp();
        try
        {
            GetResult got = await client.GetAsync(key, new GetOptions { Consistency = consistency }, cancel);
            Add(key, new KeyOperation
            {
                Client = number,
                Call = call,
                Return = Stopwatch.GetTimestamp(),
                Action = KeyAction.Read,
                Value = got.Found ? long.Parse(got.Text!, CultureInfo.InvariantCulture) : 0,
                Version = got.Version.Value,
                Outcome = KeyOutcome.Ok,
            });
            return true;
        }
        catch (Exception e) when (e is OperationCanceledException || (e is HengeException refused && IsRefusal(refused)))
        {
            Note(e);
            return false;
        }
    }

    /// <summary>Fails when a key's operations have no order that explains them all.</summary>
    public void CheckLinearizable()
    {
        foreach ((string key, ConcurrentQueue<KeyOperation> operations) in _keys)
        {
            string? problem = LinearizabilityChecker.Check(operations);
            Assert.True(problem is null, $"{key} is not linearizable: {problem}");
        }
    }

    /// <summary>Fails when the cluster's own history of a key lacks an acknowledged write, or has it at another version.</summary>
    public async Task CheckNothingLostAsync(HengeClient client, CancellationToken cancel)
    {
        foreach ((string key, ConcurrentQueue<KeyOperation> operations) in _keys)
        {
            HashSet<(ulong, string)> kept = [];
            await foreach (HistoryEntry entry in client.HistoryAsync(key, cancellationToken: cancel))
            {
                Assert.True(kept.Add((entry.Version.Value, entry.ValueText)));
            }

            Assert.Equal(kept.Count, kept.Select(static e => e.Item2).Distinct().Count());
            foreach (KeyOperation write in operations.Where(static o => o is { Action: KeyAction.Write, Outcome: KeyOutcome.Ok }))
            {
                Assert.True(
                    kept.Contains((write.Version, write.Value.ToString(CultureInfo.InvariantCulture))),
                    $"{key}: an acknowledged write is lost: {write}");
            }
        }
    }

    private static bool IsRefusal(HengeException e) =>
        e.Code
            is ErrorCode.Unavailable
                or ErrorCode.NotLeader
                or ErrorCode.DeadlineExceeded
                or ErrorCode.ResourceExhausted
                or ErrorCode.Stopping;

    // A call that was given up because the test is over is none.
    private void Note(Exception e)
    {
        if (e is not OperationCanceledException)
        {
            _failures.Enqueue(e.ToString());
        }
    }

    private void Add(string key, KeyOperation operation) => _keys.GetOrAdd(key, static _ => new()).Enqueue(operation);
}

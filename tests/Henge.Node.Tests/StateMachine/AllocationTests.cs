using System.Diagnostics;
using Henge.Core;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Node.Watch;
using Henge.Storage;
using Henge.Storage.Memory;

namespace Henge.Node.Tests.StateMachine;

/// <summary>The hot paths allocate nothing for a command.</summary>
public sealed class AllocationTests
{
    private sealed class Null : IApplyObserver
    {
        public long Count { get; private set; }

        public void OnResult(LogIndex index, int command, in CommandResult result, ReadOnlySpan<byte> payload)
        {
            Count++;
            _ = result.ToMemory(payload);
        }
    }

    private static long Measure(Func<int, byte[]> command, int entries, int commands)
    {
        var engine = new DiscardingEngine();
        var machine = ShardStateMachine.Open(
            new ShardId(1),
            engine,
            new HistoryWindow(engine),
            new WatchHub(new ShardId(1)),
            StateMachineOptions.Default);
        var payloads = new byte[entries][];
        ulong version = 1 << 20;
        int number = 0;
        for (int i = 0; i < entries; i++)
        {
            var builder = new EntryBuilder();
            for (int n = 0; n < commands; n++)
            {
                builder.Add(command(number++));
            }

            payloads[i] = builder.ToArray(new Core.Version(version));
            version += (ulong)commands;
        }

        // After half of them, by windows, of which the leanest counts: what each command allocates is in every one, and what the runtime
        // does once on this thread is not.
        int window = entries / 8;
        var observer = new Null();
        long before = 0, least = long.MaxValue;
        for (int i = 0; i < entries; i++)
        {
            if (i >= entries / 2 && i % window == 0)
            {
                long now = GC.GetAllocatedBytesForCurrentThread();
                least = i == entries / 2 ? least : Math.Min(least, now - before);
                before = now;
            }

            machine.ApplyEntry(new LogIndex((ulong)i + 1), payloads[i], observer);
            machine.CommitBatch();
        }

        Assert.Equal(entries * commands, observer.Count);
        return least;
    }

    [Fact]
    public void Plain_puts_allocate_nothing() =>
        Assert.Equal(0, Measure(static i => MachineHarness.Put("key" + (i % 500), "value"), 200, 100));

    [Fact]
    public void Puts_with_expiry_conditions_and_sessions_allocate_nothing_once_the_tables_have_grown() =>
        Assert.Equal(0, Measure(
            static i => MachineHarness.Put(
                "key" + (i % 500),
                "value",
                i % 2 == 0 ? new PutOptions { Expiry = Expiry.After(1000) } : new PutOptions { Condition = PutCondition.IfAbsent },
                i % 3 == 0 ? new SessionStamp(7, (ulong)i + 1) : default),
            200,
            100));

    [Fact]
    public void Deletes_and_commands_that_cannot_be_decoded_allocate_nothing() =>
        Assert.Equal(
            0,
            Measure(
                static i =>
                    i % 3 == 0 ? MachineHarness.Delete("key" + i)
                    : i % 3 == 1 ? MachineHarness.Put("key" + (i + 1), "x")
                    : [0xEE, 1, 2],
                200,
                99));

    /// <summary>An engine that keeps nothing, to see the state machine alone.</summary>
    private sealed class DiscardingEngine : IStorageEngine
    {
        public event Action? Flushed;

        public string Name => "discarding";

        public WritePressure Pressure => WritePressure.None;

        public Core.Version HistoryFloor => default;

        public void Apply(WriteBatch batch, bool sync = true) => Debug.Assert(batch.ByteCount > 0);

        public bool TryGet(uint keyspace, ReadOnlySpan<byte> key, ReadPoint point, out PinnedValue value)
        {
            value = default;
            return false;
        }

        public EngineIterator CreateIterator(in IteratorOptions options)
        {
            using var empty = new MemoryEngine();
            return empty.CreateIterator(options);
        }

        public IEngineSnapshot CreateSnapshot() => throw new NotSupportedException();

        public ulong GetPosition(uint stream) => 0;

        public ulong GetDurablePosition(uint stream) => 0;

        public void RequestFlush() => Flushed?.Invoke();

        public void Flush() => Flushed?.Invoke();

        public void SetHistoryFloor(Core.Version floor) => throw new NotSupportedException();

        public void DropRange(uint keyspace, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper) => throw new NotSupportedException();

        public void Checkpoint(string directory) => throw new NotSupportedException();

        public EngineStatistics GetStatistics() => new();

        public void Dispose() => Flushed = null;
    }
}

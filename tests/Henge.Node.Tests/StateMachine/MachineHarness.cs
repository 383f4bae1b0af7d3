using System.Buffers;
using System.Text;
using Henge.Core;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Node.Watch;
using Henge.Storage;
using Henge.Storage.Memory;

namespace Henge.Node.Tests.StateMachine;

/// <summary>A state machine over a memory engine, with helpers that make entries and keep results.</summary>
internal sealed class MachineHarness : IApplyObserver
{
    private readonly StateMachineOptions _options;
    private Core.Version _next;

    static MachineHarness() => Invariant.Failed = static message => throw new InvalidOperationException(message);

    public MachineHarness(StateMachineOptions? options = null, IStorageEngine? engine = null, uint shard = 3)
    {
        _options = options ?? StateMachineOptions.Default;
        Engine = engine ?? new MemoryEngine();
        Shard = new ShardId(shard);
        History = new HistoryWindow(Engine);
        Hub = new WatchHub(Shard);
        Machine = ShardStateMachine.Open(Shard, Engine, History, Hub, _options);
        NowMs = 1_000_000;
    }

    public ShardId Shard { get; }

    public IStorageEngine Engine { get; set; }

    public HistoryWindow History { get; set; }

    public WatchHub Hub { get; set; }

    public ShardStateMachine Machine { get; private set; }

    public long NowMs { get; set; }

    public List<(CommandResult Result, byte[] Payload)> Results { get; } = [];

    public static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    public static string Text(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);

    public static byte[] Command(Action<IBufferWriter<byte>> encode)
    {
        var writer = new ArrayBufferWriter<byte>();
        encode(writer);
        return writer.WrittenSpan.ToArray();
    }

    public static byte[] Put(string key, string value, PutOptions options = default, SessionStamp session = default) =>
        Command(w => CommandEncoder.Put(w, Bytes(key), Bytes(value), options, session));

    public static byte[] Delete(string key, Core.Version? ifVersion = null, bool returnPrevious = false, SessionStamp session = default) =>
        Command(w => CommandEncoder.Delete(w, Bytes(key), ifVersion, returnPrevious, session));

    public Core.Version NextVersion(int count)
    {
        Core.Version now = Core.Version.FromMilliseconds(NowMs);
        Core.Version version = now > _next ? now : _next;
        _next = new Core.Version(version.Value + (ulong)Math.Max(1, count));
        return version;
    }

    public byte[] Entry(params byte[][] commands)
    {
        var builder = new EntryBuilder();
        foreach (byte[] command in commands)
        {
            builder.Add(command);
        }

        return builder.ToArray(NextVersion(commands.Length));
    }

    /// <summary>Applies one entry and commits it; the result of its last command.</summary>
    public CommandResult Apply(params byte[][] commands)
    {
        Machine.ApplyEntry(Machine.AppliedIndex.Next, Entry(commands), this);
        Machine.CommitBatch();
        return Results[^1].Result;
    }

    public ReadOnlySpan<byte> LastPayload => Results[^1].Payload;

    public void Reopen(IStorageEngine? engine = null)
    {
        if (engine is not null)
        {
            Engine = engine;
            History = new HistoryWindow(engine);
        }

        Hub = new WatchHub(Shard);
        Machine = ShardStateMachine.Open(Shard, Engine, History, Hub, _options);
    }

    /// <summary>The value of a key now; null when it is not there.</summary>
    public string? Get(string key)
    {
        long nowMs = Math.Max(NowMs, Machine.LastVersion.Milliseconds);
        if (!Engine.TryGet(SystemKeys.UserKeyspace(Shard), Bytes(key), new ReadPoint(Core.Version.Max, nowMs), out PinnedValue value))
        {
            return null;
        }

        string text = Text(value.Span);
        value.Dispose();
        return text;
    }

    /// <summary>Collects what is due, applies it, and says how many commands that were.</summary>
    public int Expire(int max = 1000)
    {
        var builder = new EntryBuilder();
        int due = Machine.CollectDue(NowMs, max, builder);
        if (due > 0)
        {
            Machine.ApplyEntry(Machine.AppliedIndex.Next, builder.ToArray(NextVersion(due)), this);
            Machine.CommitBatch();
        }

        return due;
    }

    public int CountSystem(byte tag)
    {
        using EngineIterator records = Engine.CreateIterator(new IteratorOptions
        {
            Keyspace = SystemKeys.SystemKeyspace(Shard),
            Point = new ReadPoint(Core.Version.Max, 0),
            Lower = new[] { tag },
            Upper = new[] { (byte)(tag + 1) },
        });
        int count = 0;
        for (records.SeekToFirst(); records.Valid; records.Next())
        {
            count++;
        }

        return count;
    }

    public void OnResult(LogIndex index, int command, in CommandResult result, ReadOnlySpan<byte> payload) =>
        Results.Add((result, payload.ToArray()));
}

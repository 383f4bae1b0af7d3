using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Node.Watch;
using Henge.Storage;
using Henge.Storage.Memory;

namespace Henge.Fuzz.Targets;

/// <summary>What stands in the log: entries and commands, their results, and what a shard stores.</summary>
internal static class CommandTargets
{
    // A value that is stored has at most this many bytes here: commands carry the limit of the node that encoded them.
    private const int ValueBytes = 4096;

    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("command", Command, CommandSeeds),
        new("entry", static input => Apply(input), EntrySeeds) { AllocatedAlways = 4 * 1024 * 1024, AllocatedPerByte = 4096 },
        new("command-result", Result, ResultSeeds),
        new("stored-hash", Hash, static () => [Hash("a", "1", "", "x"), Hash("f", "9223372036854775807")]) { AllocatedAlways = 512 * 1024 },
        new("stored-number", Number, static () => DoorTargets.Texts("12\n-3", "1.5e300\n1e300", "0.1\n0.2", "-0\n0",
            "9223372036854775807\n1")),
        new("snapshot", Snapshot, SnapshotSeeds) { AllocatedAlways = 4 * 1024 * 1024, AllocatedPerByte = 4096 },
        new("stored-session", Session, static () => [[0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 3, 9, 5, 0, 0],
            [0, 0, 0, 0, 0, 0, 0, 7, 0, 1, 0]]) { AllocatedAlways = 4 * 1024 * 1024 },
    ];

    private static byte[] Encoded(Action<IBufferWriter<byte>> encode)
    {
        var writer = new ArrayBufferWriter<byte>();
        encode(writer);
        return writer.WrittenSpan.ToArray();
    }

    private static byte[] Hash(params string[] parts)
    {
        var fields = new List<Client.HashField>();
        for (int i = 0; i < parts.Length; i += 2)
        {
            fields.Add(new Client.HashField(Encoding.UTF8.GetBytes(parts[i]), Encoding.UTF8.GetBytes(parts[i + 1])));
        }

        return Client.HashValue.Encode(fields);
    }

    private static IEnumerable<byte[]> CommandSeeds()
    {
        byte[] a = "a"u8.ToArray(), b = "bb"u8.ToArray();
        var session = new SessionStamp(5, 6, SessionFlags.Continues);
        yield return Encoded(w => CommandEncoder.Put(w, a, b));
        yield return Encoded(
            w => CommandEncoder.Put(w, a, b, new PutOptions
            {
                Expiry = Expiry.After(1000),
                Condition = PutCondition.IfVersion,
                IfVersion = new Core.Version(9),
                ReturnPrevious = true
            }, session));
        yield return Encoded(
            w => CommandEncoder.Put(w, a, b, new PutOptions { Condition = PutCondition.IfValue, Comparand = b, KeepExpiry = true }));
        yield return Encoded(w => CommandEncoder.Put(w, a, Hash("f", "1"), new PutOptions { Type = DataType.Hash }));
        yield return Encoded(w => CommandEncoder.Delete(w, a, new Core.Version(3), returnPrevious: true));
        yield return Encoded(w => CommandEncoder.DeleteIf(w, a, PutCondition.IfDigest, new byte[8]));
        yield return Encoded(w => CommandEncoder.Get(w, a));
        yield return Encoded(w => CommandEncoder.Increment(w, a, -5, session));
        yield return Encoded(w => CommandEncoder.IncrementFloat(w, a, "1.5"u8));
        yield return Encoded(w => CommandEncoder.Append(w, a, b, ValueBytes));
        yield return Encoded(w => CommandEncoder.SetExpiry(w, a, Expiry.At(77), ExpiryCondition.IfLater, returnValue: true));
        yield return Encoded(w => CommandEncoder.MultiPut(w, [new(a, b), new(b, a)], ifAllAbsent: true));
        yield return Encoded(w => CommandEncoder.MultiDelete(w, [a, b]));
        yield return Encoded(w => CommandEncoder.HashSet(w, a, [new(a, b), new(b, a)], ValueBytes));
        yield return Encoded(w => CommandEncoder.HashDelete(w, a, [a, b]));
        yield return Encoded(w => CommandEncoder.HashIncrement(w, a, b, 7, ValueBytes));
        yield return Encoded(w => CommandEncoder.HashIncrementFloat(w, a, b, "2.5"u8, ValueBytes));
        yield return Encoded(w => CommandEncoder.SetRange(w, a, 3, b, ValueBytes));
        yield return Encoded(w => CommandEncoder.SetBit(w, a, 12, on: true, ValueBytes));
        yield return Encoded(w => CommandEncoder.Move(w, a, b, copy: true, ifAbsent: true));
        yield return Encoded(w => CommandEncoder.DeleteExpired(w, a, 100, new Core.Version(4)));
        yield return Encoded(w =>
        {
            var txn = new TxnBuilder();
            txn.CompareVersion(a, CompareRelation.Less, new Core.Version(8)).CompareValue(b, CompareRelation.Equal, a).CompareExistence(a,
                exists: true);
            txn.Then.Add(Encoded(inner => CommandEncoder.Put(inner, a, b)));
            txn.Then.Add(Encoded(inner => CommandEncoder.MultiDelete(inner, [a, b])));
            txn.Otherwise.Add(Encoded(inner => CommandEncoder.HashSet(inner, a, [new(a, b)], ValueBytes)));
            txn.Encode(w, session);
        });
    }

    private static void Command(ReadOnlySpan<byte> input)
    {
        var limits = new NodeLimits { KeyBytes = 64, ValueBytes = ValueBytes };
        if (!CommandView.TryRead(input, out CommandView view))
        {
            FuzzCheck.That(Refuses(input, limits), "bytes that are no command are let in");
            return;
        }

        CommandPieces pieces = view.Pieces();
        int keys = 0;
        for (; pieces.MoveNext(); keys++)
        {
            FuzzCheck.That(keys <= input.Length, "more keys than bytes");
        }

        FuzzCheck.That(keys > 0 || view.Kind == CommandKind.Txn, "a command without a key");
        CommandEncoder.ShardOf(input, new ShardMap(1));
        Refuses(input, limits);
        var builder = new EntryBuilder();
        builder.Add(input);
        FuzzCheck.That(EntryReader.TryOpen(builder.ToArray(new Core.Version(7)), out EntryReader entry) && entry.MoveNext(),
            "an entry that was made is not read");
        FuzzCheck.Same(input, entry.Command, "a command in an entry");
    }

    private static bool Refuses(ReadOnlySpan<byte> command, NodeLimits limits)
    {
        try
        {
            CommandLimits.Check(command, limits);
            return false;
        }
        catch (HengeException e) when (e.Code is ErrorCode.InvalidArgument or ErrorCode.TooLarge)
        {
            return true;
        }
    }

    // Commands, each behind its length: one entry, applied to a state that has a value, a number and a hash; and what comes out is what a
    // replica has that was started anew.
    private static IEnumerable<byte[]> EntrySeeds()
    {
        yield return Joined([.. CommandSeeds()]);
        foreach (byte[] command in CommandSeeds())
        {
            yield return Joined(command);
        }

        static byte[] Joined(params byte[][] commands) => [.. commands.SelectMany(static c => new[] { (byte)c.Length }.Concat(c))];
    }

    private static void Apply(ReadOnlySpan<byte> input)
    {
        var commands = new EntryBuilder();
        while (!input.IsEmpty && commands.Count < 256)
        {
            int length = Math.Min(input[0], input.Length - 1);
            ReadOnlySpan<byte> command = input.Slice(1, length);
            if (!CommandView.TryRead(command, out CommandView view) || !Grows(view))
            {
                commands.Add(command);
            }

            input = input[(1 + length)..];
        }

        using var engine = new MemoryEngine();
        ShardStateMachine machine = Open(engine);
        machine.ApplyEntry(new LogIndex(1), Start(), observer: null);
        machine.CommitBatch();
        machine.ApplyEntry(new LogIndex(2), commands.ToArray(Core.Version.FromMilliseconds(2_000_000)), observer: null);
        machine.CommitBatch();
        FuzzCheck.That(Open(engine).StateHash() == machine.StateHash(), "a replica that is started anew has another state");
    }

    // Up to the limit that they carry, these make values as large as they say: that is what they are for, and the doors check the limit.
    // Within transactions too.
    private static bool Grows(scoped in CommandView view) => view.Limit > ValueBytes || view.Kind == CommandKind.Txn
        && view.Body.IndexOf((byte)CommandKind.SetRange) >= 0 || view.Kind == CommandKind.Txn
        && view.Body.IndexOf((byte)CommandKind.SetBit) >= 0;

    private static byte[] Start()
    {
        var builder = new EntryBuilder();
        builder.Add(Encoded(static w => CommandEncoder.Put(w, "a"u8, "12"u8)));
        builder.Add(Encoded(static w => CommandEncoder.Put(w, "bb"u8, "x"u8, new PutOptions { Expiry = Expiry.After(1) })));
        builder.Add(Encoded(static w => CommandEncoder.Put(w, "h"u8, Hash("f", "1", "g", "x"), new PutOptions { Type = DataType.Hash })));
        return builder.ToArray(Core.Version.FromMilliseconds(1_000_000));
    }

    private static ShardStateMachine Open(IStorageEngine engine) =>
        ShardStateMachine.Open(new ShardId(3), engine, new HistoryWindow(engine), new WatchHub(new ShardId(3)),
            StateMachineOptions.Default);

    private static IEnumerable<byte[]> ResultSeeds()
    {
        yield return [];
        yield return new CommandResult(CommandStatus.Ok, new Core.Version(3), Found: true, Number: -77).ToMemory("payload"u8).ToArray();
        yield return new CommandResult(CommandStatus.Failed, new Core.Version(3), Problem: CommandProblem.WrongKind).ToMemory(
            default).ToArray();
        yield return new CommandResult(CommandStatus.Ok, new Core.Version(3)).ToMemory([3, 1, 0, 0, 3, 2, 1, 0]).ToArray();
        yield return [.. new byte[] { 4 }, .. Encoded(static w => EntryView.Write(w, new Core.Version(9), 5, "v"u8, DataType.Hash))];
    }

    private static void Result(ReadOnlySpan<byte> input)
    {
        if (!CommandResult.TryRead(new Core.Version(5), input, out CommandResult result, out ReadOnlySpan<byte> payload))
        {
            return;
        }

        byte[] encoded = result.ToMemory(payload).ToArray();
        FuzzCheck.That(CommandResult.TryRead(new Core.Version(5), encoded, out CommandResult again, out ReadOnlySpan<byte> samePayload)
            && again == result, "a result");
        FuzzCheck.Same(payload, samePayload, "a payload");
        if (EntryView.TryRead(payload, out EntryView entry))
        {
            byte[] written = WriteEntry(entry);
            FuzzCheck.That(EntryView.TryRead(written, out EntryView same) && same.Version == entry.Version
                && same.ExpiresAtMs == entry.ExpiresAtMs && same.Type == entry.Type, "an entry as payload");
            FuzzCheck.Same(entry.Value, same.Value, "a value");
        }

        var parts = new TxnResultReader(payload);
        for (int count = 0; parts.MoveNext(); count++)
        {
            FuzzCheck.That(count <= payload.Length, "more results than bytes");
        }
    }

    private static byte[] WriteEntry(scoped in EntryView entry)
    {
        var writer = new ArrayBufferWriter<byte>();
        EntryView.Write(writer, entry.Version, entry.ExpiresAtMs, entry.Value, entry.Type);
        return writer.WrittenSpan.ToArray();
    }

    private static void Hash(ReadOnlySpan<byte> input)
    {
        var reader = new HashReader(input);
        int fields = 0;
        for (; reader.MoveNext(); fields++)
        {
            FuzzCheck.That(HashReader.TryGet(input, reader.Field, out _), "a field that is there is not found");
        }

        FuzzCheck.That(reader.Damaged || fields == reader.Count, "another number of fields than the hash says");
        if (!HashReader.IsWellFormed(input))
        {
            return;
        }

        // One field more, and the same one less, is what was there.
        byte[] field = [.. "new"u8, .. input];
        var editor = new HashEditor();
        byte[] pair = Encoded(w => Add(w, field, field));
        FuzzCheck.That(editor.Set(input, pair, 1, seed: 9) == 1 && editor.Count == fields + 1, "a field more");
        byte[] more = editor.Result.ToArray();
        FuzzCheck.That(HashReader.IsWellFormed(more) && HashReader.TryGet(more, field, out ReadOnlySpan<byte> value)
            && value.SequenceEqual(field), "a field that was set");
        FuzzCheck.That(editor.Delete(more, Encoded(w => Add(w, field)), 1, seed: 9) == 1 && editor.Count == fields, "a field less");
        FuzzCheck.That(HashReader.IsWellFormed(editor.Result), "a field less");
        FuzzCheck.Same(Canonical(input), Canonical(editor.Result), "a hash");

        static byte[] Canonical(ReadOnlySpan<byte> hash) => Client.HashValue.Encode(Client.HashValue.Read(hash.ToArray()));
    }

    private static void Add(IBufferWriter<byte> writer, params ReadOnlySpan<byte[]> parts)
    {
        foreach (byte[] part in parts)
        {
            Span<byte> length = writer.GetSpan(Varint.MaxBytes);
            writer.Advance(Varint.Write(length, (ulong)part.Length));
            writer.Write(part);
        }
    }

    // Two numbers, with a line end between.
    private static void Number(ReadOnlySpan<byte> input)
    {
        int end = input.IndexOf((byte)'\n');
        ReadOnlySpan<byte> left = end < 0 ? input : input[..end], right = end < 0 ? "1"u8 : input[(end + 1)..];
        if (NumberText.TryReadInteger(left, out long value))
        {
            FuzzCheck.Same(left, Encoding.ASCII.GetBytes(value.ToString(CultureInfo.InvariantCulture)), "an integer");
        }

        Span<byte> sum = stackalloc byte[NumberText.MaxBytes];
        int length = NumberText.Add(left, right, sum);
        if (length > 0)
        {
            FuzzCheck.That(NumberText.TryCheckFloat(sum[..length]), "a sum that is no number");
        }
    }

    private static IEnumerable<byte[]> SnapshotSeeds()
    {
        using var engine = new MemoryEngine();
        ShardStateMachine machine = Open(engine);
        var builder = new EntryBuilder();
        foreach (byte[] command in CommandSeeds())
        {
            builder.Add(command);
        }

        machine.ApplyEntry(new LogIndex(1), Start(), observer: null);
        machine.ApplyEntry(new LogIndex(2), builder.ToArray(Core.Version.FromMilliseconds(2_000_000)), observer: null);
        machine.CommitBatch();
        using ShardSnapshotReader reader = machine.CreateSnapshot(new Term(3), "extra"u8.ToArray());
        var chunks = new List<byte>();
        byte[] buffer = new byte[1024];
        while (reader.TryRead(buffer, out int written, out _))
        {
            chunks.AddRange(buffer.AsSpan(SnapshotFormat.ChunkHeaderBytes, written - SnapshotFormat.ChunkHeaderBytes));
        }

        yield return [.. chunks];
    }

    // The bytes of the chunks, without their headers: those are made here.
    private static void Snapshot(ReadOnlySpan<byte> input)
    {
        using var engine = new MemoryEngine();
        ShardStateMachine machine = Open(engine);
        using ShardSnapshotInstaller installer = machine.BeginInstall();
        try
        {
            uint sequence = 0;
            while (!input.IsEmpty && !installer.HasAll)
            {
                int length = Math.Min(input.Length, 100);
                byte[] chunk = new byte[SnapshotFormat.ChunkHeaderBytes + length];
                input[..length].CopyTo(chunk.AsSpan(SnapshotFormat.ChunkHeaderBytes));
                SnapshotFormat.WriteChunkHeader(chunk, sequence++);
                installer.Write(chunk);
                input = input[length..];
            }

            if (installer.HasAll)
            {
                installer.Complete();
                FuzzCheck.That(Open(engine).StateHash() == machine.StateHash(), "a replica that is started anew has another state");
            }
        }
        catch (HengeException e) when (e.Code is ErrorCode.Corruption or ErrorCode.InvalidArgument or ErrorCode.UnsupportedFormat)
        {
            // As documented.
        }
    }

    // The client and the slot, ten bytes, and what is stored for them.
    private static void Session(ReadOnlySpan<byte> input)
    {
        if (input.Length < 10)
        {
            return;
        }

        using var engine = new MemoryEngine();
        var batch = new WriteBatch();
        Span<byte> key = stackalloc byte[SystemKeys.SessionKeyBytes];
        SystemKeys.WriteSessionKey(key, BinaryPrimitives.ReadUInt64BigEndian(input), BinaryPrimitives.ReadUInt16BigEndian(input[8..]));
        batch.Put(SystemKeys.SystemKeyspace(new ShardId(3)), key, new Core.Version(9), input[10..]);
        engine.Apply(batch);
        try
        {
            Open(engine).StateHash();
        }
        catch (HengeException e) when (e.Code == ErrorCode.Corruption)
        {
            // As documented.
        }
    }
}

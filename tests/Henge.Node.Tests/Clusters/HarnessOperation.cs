using System.Buffers;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;

namespace Henge.Node.Tests.Clusters;

/// <summary>An operation of a test.</summary>
public sealed class HarnessOperation : Operation
{
    public int Completions { get; private set; }

    public bool IsDone => Completions > 0;

    public static HarnessOperation Put(string key, string value, bool leaderOnly = false, SessionStamp session = default)
    {
        var writer = new ArrayBufferWriter<byte>();
        byte[] bytes = Encoding.UTF8.GetBytes(key);
        CommandEncoder.Put(writer, bytes, Encoding.UTF8.GetBytes(value), session: session);
        return new HarnessOperation { Kind = OperationKind.Write, Key = bytes, Command = writer.WrittenMemory, LeaderOnly = leaderOnly };
    }

    public static HarnessOperation Append(string key, string value, SessionStamp session)
    {
        var writer = new ArrayBufferWriter<byte>();
        byte[] bytes = Encoding.UTF8.GetBytes(key);
        CommandEncoder.Append(writer, bytes, Encoding.UTF8.GetBytes(value), 1024 * 1024, session);
        return new HarnessOperation { Kind = OperationKind.Write, Key = bytes, Command = writer.WrittenMemory };
    }

    public static HarnessOperation Get(string key, ReadConsistency consistency = ReadConsistency.Default) =>
        new() { Kind = OperationKind.Get, Key = Encoding.UTF8.GetBytes(key), Consistency = consistency };

    public static HarnessOperation PutFor(string key, string value, long milliseconds)
    {
        var writer = new ArrayBufferWriter<byte>();
        byte[] bytes = Encoding.UTF8.GetBytes(key);
        CommandEncoder.Put(writer, bytes, Encoding.UTF8.GetBytes(value), new PutOptions { Expiry = Expiry.After(milliseconds) });
        return new HarnessOperation { Kind = OperationKind.Write, Key = bytes, Command = writer.WrittenMemory };
    }

    public static HarnessOperation Delete(string key)
    {
        var writer = new ArrayBufferWriter<byte>();
        byte[] bytes = Encoding.UTF8.GetBytes(key);
        CommandEncoder.Delete(writer, bytes);
        return new HarnessOperation { Kind = OperationKind.Write, Key = bytes, Command = writer.WrittenMemory };
    }

    public static HarnessOperation Barrier() => new() { Kind = OperationKind.Barrier, AllShards = true };

    protected override void OnCompleted() => Completions++;

    public override string ToString() =>
        $"{Kind} {Encoding.UTF8.GetString(Key.Span)}: {(IsDone ? Error == ErrorCode.None ? "ok" : $"{Error}: {ErrorMessage}" : "open")}";
}

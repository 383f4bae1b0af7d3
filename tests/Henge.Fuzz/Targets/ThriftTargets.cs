using System.Buffers;
using System.Buffers.Binary;
using Henge.Fuzz.Guarded;
using Henge.Server.Thrift;
using Henge.Thrift.Generated;
using Thrift;
using Thrift.Protocol;
using Thrift.Protocol.Entities;

namespace Henge.Fuzz.Targets;

/// <summary>What clients of the Thrift door send: what is in a frame, and whole connections without credentials.</summary>
internal static class ThriftTargets
{
    private const int MostElements = 64;
    private static readonly CancellationToken None = CancellationToken.None;

    // As the door's own, which are not for less.
    private static readonly TConfiguration Bounds =
        new() { MaxMessageSize = 1 << 30, MaxFrameSize = 1 << 30, RecursionLimit = 16 };

    private static readonly Dictionary<string, Func<TBase>> Arguments = new()
    {
        ["auth"] = static () => new KVStore.InternalStructs.auth_args(),
        ["get"] = static () => new KVStore.InternalStructs.get_args(),
        ["put"] = static () => new KVStore.InternalStructs.put_args(),
        ["remove"] = static () => new KVStore.InternalStructs.remove_args(),
        ["scan"] = static () => new KVStore.InternalStructs.scan_args(),
        ["multiGet"] = static () => new KVStore.InternalStructs.multiGet_args(),
        ["multiPut"] = static () => new KVStore.InternalStructs.multiPut_args(),
        ["txn"] = static () => new KVStore.InternalStructs.txn_args(),
        ["status"] = static () => new KVStore.InternalStructs.status_args(),
    };

    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        // Each read of a byte is a call that may have a state, and lists of empty structs become objects.
        new("thrift", Message, Seeds) { AllocatedPerByte = 4096 },
    ];

    /// <summary>The encoding, and behind it what is said on a connection that speaks it already.</summary>
    public static void RunGuarded(GuardedPort port, ReadOnlySpan<byte> input)
    {
        if (input.IsEmpty)
        {
            return;
        }

        ThriftEncoding encoding = EncodingOf(input[0]);
        byte[] first = Call(encoding, "status", new KVStore.InternalStructs.status_args());
        byte[] reply = port.Serve([.. first, .. input[1..]]);
        FuzzCheck.That(reply.Length > 4, "nothing is said to a call of somebody who has not logged in");
        for (ReadOnlyMemory<byte> rest = reply; rest.Length > 4;)
        {
            int length = BinaryPrimitives.ReadInt32BigEndian(rest.Span);
            FuzzCheck.That(length <= rest.Length - 4, "half of an answer");
            CheckRefused(encoding, rest.Slice(4, length));
            rest = rest[(4 + length)..];
        }
    }

    public static IEnumerable<byte[]> GuardedSeeds()
    {
        foreach (ThriftEncoding encoding in Enum.GetValues<ThriftEncoding>())
        {
            byte which = encoding == ThriftEncoding.Compact ? (byte)1 : (byte)0;
            yield return [which, .. Calls(encoding).SelectMany(static c => c)];
            foreach (byte[] call in Calls(encoding))
            {
                yield return [which, .. call];
            }
        }
    }

    private static IEnumerable<byte[]> Seeds() =>
        Enum.GetValues<ThriftEncoding>().SelectMany(static e => Calls(e)).Select(static frame => frame[4..]);

    // What was read is written and read again, and is the same.
    private static void Message(ReadOnlySpan<byte> input)
    {
        if (input.IsEmpty)
        {
            return;
        }

        ThriftEncoding encoding = input[0] == 0x82 ? ThriftEncoding.Compact : ThriftEncoding.Binary;
        if (Read(encoding, input.ToArray(), out string name) is { } read)
        {
            TBase again = Read(encoding, Call(encoding, name, read)[4..], out _)
                ?? throw new FuzzFailureException("a message that was written is not read");
            FuzzCheck.That(read.ToString() == again.ToString(), $"{read} became {again}");
        }
    }

    private static TBase? Read(ThriftEncoding encoding, byte[] message, out string name)
    {
        name = "";
        using FrameInput input = new(Bounds);
        input.Begin(new ReadOnlySequence<byte>(message));
        BoundedProtocol protocol = new(ProtocolOver(encoding, input), MostElements);
        try
        {
            name = Now(protocol.BeginAsync(None).AsTask()).Name;
            if (!Arguments.TryGetValue(name, out Func<TBase>? create))
            {
                return null;
            }

            TBase arguments = create();
            Now(arguments.ReadAsync(protocol, None));
            return arguments;
        }
        catch (Exception e) when (BoundedProtocol.IsMalformed(e))
        {
            return null;
        }
    }

    private static void CheckRefused(ThriftEncoding encoding, ReadOnlyMemory<byte> answer)
    {
        using FrameInput input = new(Bounds);
        input.Begin(new ReadOnlySequence<byte>(answer));
        TProtocol protocol = ProtocolOver(encoding, input);
        TMessage message = Now(protocol.ReadMessageBeginAsync(None).AsTask());
        FuzzCheck.That(message.Type is TMessageType.Reply or TMessageType.Exception, $"an answer of type {message.Type}");
        if (message.Type == TMessageType.Reply)
        {
            Now(protocol.ReadStructBeginAsync(None).AsTask());
            TField field = Now(protocol.ReadFieldBeginAsync(None).AsTask());
            FuzzCheck.That(field.Type != TType.Stop && field.ID > 0, $"{message.Name} was done that takes a login");
        }
    }

    private static IEnumerable<byte[]> Calls(ThriftEncoding encoding)
    {
        byte[] key = "secret/1"u8.ToArray(), value = [0, 255];
        GetRequest get = new() { Key = key, Consistency = Consistency.STALE };
        PutRequest put = new() { Key = key, Value = value, TtlMs = 5_000, IfVersion = 1, ReturnPrevious = true };
        DeleteRequest remove = new() { Key = key, IfVersion = 7 };
        yield return Call(encoding, "auth", new KVStore.InternalStructs.auth_args
        {
            Credentials = new() { User = "root", Password = "wrong" },
        });
        yield return Call(encoding, "auth", new KVStore.InternalStructs.auth_args { Credentials = new() { Token = "a.b.c" } });
        yield return Call(encoding, "get", new KVStore.InternalStructs.get_args { Request = get });
        yield return Call(encoding, "put", new KVStore.InternalStructs.put_args { Request = put });
        yield return Call(encoding, "remove", new KVStore.InternalStructs.remove_args { Request = remove });
        yield return Call(encoding, "scan", new KVStore.InternalStructs.scan_args
        {
            Request = new() { Prefix = "sec"u8.ToArray(), Limit = 10, Reverse = true, CountOnly = false },
        });
        yield return Call(encoding, "multiGet", new KVStore.InternalStructs.multiGet_args { Request = new() { Keys = [key, value, []] } });
        yield return Call(encoding, "multiPut", new KVStore.InternalStructs.multiPut_args { Requests = [put, new() { Key = value }] });
        yield return Call(encoding, "txn", new KVStore.InternalStructs.txn_args
        {
            Request = new()
            {
                Compare = [new() { Key = key, Relation = Relation.LESS, Value = value }, new() { Key = key, Exists = false }],
                Success = [new() { Put = put }, new() { Get = get }],
                Failure = [new() { Remove = remove }],
            },
        });
        yield return Call(encoding, "status", new KVStore.InternalStructs.status_args());
    }

    private static byte[] Call(ThriftEncoding encoding, string name, TBase arguments)
    {
        using FrameOutput output = new(Bounds);
        output.Begin();
        TProtocol protocol = ProtocolOver(encoding, output);
        Now(protocol.WriteMessageBeginAsync(new TMessage(name, TMessageType.Call, 1), None));
        Now(arguments.WriteAsync(protocol, None));
        Now(protocol.WriteMessageEndAsync(None));
        return output.End().ToArray();
    }

    private static ThriftEncoding EncodingOf(byte which) => (which & 1) == 1 ? ThriftEncoding.Compact : ThriftEncoding.Binary;

    private static TProtocol ProtocolOver(ThriftEncoding encoding, global::Thrift.Transport.TTransport transport) =>
        encoding == ThriftEncoding.Compact ? new TCompactProtocol(transport) : new TBinaryProtocol(transport, true, true);

    // All is in memory, so there is nothing to wait for.
    private static void Now(Task task)
    {
        FuzzCheck.That(task.IsCompleted, "what is in memory is waited for");
        task.GetAwaiter().GetResult();
    }

    private static T Now<T>(Task<T> task)
    {
        Now((Task)task);
        return task.Result;
    }
}

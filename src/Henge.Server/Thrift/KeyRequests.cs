using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Operations;
using Henge.Thrift.Generated;

namespace Henge.Server.Thrift;

/// <summary>
/// What requests say of keys, as the node's own commands and terms. Each throws <see cref="HengeException"/> (InvalidArgument, TooLarge,
/// HistoryGone). Pure functions.
/// </summary>
internal static class KeyRequests
{
    /// <summary>The key of a request, checked.</summary>
    public static byte[] Key(byte[]? key, NodeLimits limits)
    {
        KvValidation.CheckKey(key is not null, key, limits);
        return key!;
    }

    /// <summary>What has to be there.</summary>
    public static T Given<T>([NotNull] T? part, string name)
        where T : class =>
        part ?? throw KvValidation.Invalid($"The {name} is not set.");

    /// <summary>A number that is none below zero; Thrift has no others.</summary>
    public static ulong Number(long number, string name) =>
        number >= 0 ? (ulong)number : throw KvValidation.Invalid($"{name} is {number}; it is at least 0.");

    /// <summary>The version to read at; zero: now.</summary>
    public static Core.Version ReadVersion(long version, long atUnixMs, IHengeNode node) =>
        KvValidation.ReadVersion(Number(version, "version"), atUnixMs, node);

    /// <summary>How a read is made sure of.</summary>
    public static ReadConsistency ConsistencyOf(Consistency consistency) =>
        KvValidation.Consistency(Number((long)consistency, "consistency"));

    /// <summary>Encodes a put.</summary>
    public static void Encode(IBufferWriter<byte> output, PutRequest put, NodeLimits limits)
    {
        byte[] key = Key(put.Key, limits);
        byte[] value = put.Value ?? [];
        KvValidation.CheckValue(value, limits);
        CommandEncoder.Put(output, key, value, new PutOptions
        {
            Expiry = KvValidation.Ttl(Number(put.TtlSecs, "ttl_secs"), Number(put.TtlMs, "ttl_ms"), put.KeepTtl),
            KeepExpiry = put.KeepTtl,
            Condition = put.__isset.if_version ? PutCondition.IfVersion : PutCondition.None,
            IfVersion = KvValidation.IfVersion(Number(put.IfVersion, "if_version")),
            ReturnPrevious = put.ReturnPrevious,
            Type = KvValidation.Type(Number((long)put.Type, "type")),
        });
    }

    /// <summary>Encodes a deletion.</summary>
    public static void Encode(IBufferWriter<byte> output, DeleteRequest delete, NodeLimits limits) => CommandEncoder.Delete(
        output,
        Key(delete.Key, limits),
        delete.__isset.if_version ? KvValidation.IfVersion(Number(delete.IfVersion, "if_version")) : null,
        delete.ReturnPrevious);

    /// <summary>The operation of a write.</summary>
    /// <param name="key">Its key.</param>
    /// <param name="command">The encoded write, whose memory stays until it has been done.</param>
    /// <param name="leaderOnly">Refuse it where the shard's leader is elsewhere.</param>
    /// <param name="limits">The node's limits.</param>
    public static AwaitedOperation Write(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> command, bool leaderOnly, NodeLimits limits)
    {
        KvValidation.CheckCommand(command.Length, limits);
        return new AwaitedOperation { Kind = OperationKind.Write, Key = key, Command = command, LeaderOnly = leaderOnly };
    }

    /// <summary>What a request asks of a scan.</summary>
    public static ScanTerms TermsOf(ScanRequest scan, IHengeNode node) => new()
    {
        Prefix = scan.Prefix,
        Start = scan.StartKey,
        End = scan.EndKey,
        Limit = (uint)Number(scan.Limit, "limit"),
        Reverse = scan.Reverse,
        KeysOnly = scan.KeysOnly,
        Version = ReadVersion(scan.Version, scan.AtUnixMs, node),
        Consistency = ConsistencyOf(scan.Consistency),
        Continuation = scan.Continuation,
    };
}

using System.IO.Hashing;
using Google.Protobuf;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Mapping;

/// <summary>Between the API's types and the messages. Pure functions. Caller's memory is wrapped, not copied.</summary>
internal static class WireMapping
{
    public static ByteString Bytes(ReadOnlyMemory<byte> memory) => UnsafeByteOperations.UnsafeWrap(memory);

    public static Wire.Consistency ToWire(this ReadConsistency consistency, HengeClientOptions options) =>
        (Wire.Consistency)(consistency == ReadConsistency.Default ? options.Consistency : consistency);

    /// <summary>The time of a read on the wire; 0 for none. Throws when a version is given as well.</summary>
    public static long TimeOf(ReadOptions options)
    {
        if (options.AtTime is not { } time)
        {
            return 0;
        }

        if (!options.AtVersion.IsZero)
        {
            throw new ArgumentException($"Give either {nameof(ReadOptions.AtVersion)} or {nameof(ReadOptions.AtTime)}, not both.");
        }

        return Math.Max(time.ToUnixTimeMilliseconds(), 1);
    }

    public static Wire.GetRequest Get(ReadOnlyMemory<byte> key, GetOptions options, HengeClientOptions client) => new()
    {
        Key = Bytes(key),
        Version = options.AtVersion.Value,
        AtUnixMs = TimeOf(options),
        Consistency = options.Consistency.ToWire(client),
    };

    public static Wire.PutRequest Put(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, PutOptions options)
    {
        Wire.PutRequest request = new()
        {
            Key = Bytes(key),
            Value = Bytes(value),
            TtlMs = TtlMs(options),
            ReturnPrevious = options.ReturnPrevious,
            KeepTtl = options.KeepTimeToLive,
            Type = (Wire.DataType)options.Type,
        };
        if (options.IfVersion is { } version)
        {
            request.IfVersion = version.Value;
        }

        return request;
    }

    public static ulong TtlMs(PutOptions options) => options.TimeToLive is { } ttl ? (ulong)Math.Ceiling(ttl.TotalMilliseconds) : 0;

    public static Wire.DeleteRequest Delete(ReadOnlyMemory<byte> key, DeleteOptions options)
    {
        Wire.DeleteRequest request = new() { Key = Bytes(key), ReturnPrevious = options.ReturnPrevious };
        if (options.IfVersion is { } version)
        {
            request.IfVersion = version.Value;
        }

        return request;
    }

    /// <summary>The hashes of all keys that a transaction names, each once.</summary>
    public static HashSet<ulong> HashesOf(Wire.TxnRequest txn)
    {
        HashSet<ulong> hashes = [];
        foreach (Wire.Compare compare in txn.Compare)
        {
            hashes.Add(XxHash64.HashToUInt64(compare.Key.Span));
        }

        foreach (Wire.TxnOperation operation in txn.Then.Concat(txn.Otherwise))
        {
            ByteString key = operation.OperationCase switch
            {
                Wire.TxnOperation.OperationOneofCase.Put => operation.Put.Key,
                Wire.TxnOperation.OperationOneofCase.Delete => operation.Delete.Key,
                _ => operation.Get.Key,
            };
            hashes.Add(XxHash64.HashToUInt64(key.Span));
        }

        return hashes;
    }

    public static Wire.TxnRequest Txn(Transaction transaction)
    {
        Wire.TxnRequest request = new();
        foreach (Compare compare in transaction.Compares)
        {
            Wire.Compare wire = new() { Key = Bytes(compare.Key), Relation = (Wire.Compare.Types.Relation)compare.Relation };
            if (compare.VersionTarget is { } version)
            {
                wire.Version = version.Value;
            }
            else if (compare.ValueTarget is { } value)
            {
                wire.Value = Bytes(value);
            }
            else
            {
                wire.Exists = compare.ExistsTarget ?? true;
            }

            request.Compare.Add(wire);
        }

        request.Then.AddRange(transaction.ThenOperations.Select(Operation));
        request.Otherwise.AddRange(transaction.ElseOperations.Select(Operation));
        return request;
    }

    private static Wire.TxnOperation Operation(TransactionOperation operation) => operation.Kind switch
    {
        TransactionOperationKind.Put => new() { Put = Put(operation.Key, operation.Value, operation.PutOptions ?? PutOptions.Default) },
        TransactionOperationKind.Delete => new() { Delete = Delete(operation.Key, operation.DeleteOptions ?? DeleteOptions.Default) },
        _ => new() { Get = new Wire.GetRequest { Key = Bytes(operation.Key) } },
    };

    public static Wire.ScanRequest Scan(ScanOptions options, HengeClientOptions client) => new()
    {
        StartKey = Bytes(options.Range.Start),
        EndKey = Bytes(options.Range.End),
        Reverse = options.Reverse,
        KeysOnly = options.KeysOnly,
        Version = options.AtVersion.Value,
        AtUnixMs = TimeOf(options),
        Consistency = options.Consistency.ToWire(client),
    };

    public static Wire.WatchRequest Watch(WatchOptions options) => new()
    {
        StartKey = Bytes(options.Range.Start),
        EndKey = Bytes(options.Range.End),
        PreviousValues = options.PreviousValues,

        // Always asked for: marks carry the place to resume at even while nothing happens to the watched keys.
        Progress = true,
    };

    public static GetResult FromWire(Wire.GetResponse response) => response.Found
        ? new()
        {
            Found = true,
            Value = response.Value.Memory,
            Version = new(response.Version),
            TimeToLive = Remaining(response.TtlRemainingMs),
            Type = (DataType)response.Type,
        }
        : default;

    public static PutResult FromWire(Wire.PutResponse response) => new()
    {
        Succeeded = response.Success,
        Version = new(response.Version),
        Previous = response.Previous is { } previous ? FromWire(previous) : null,
    };

    public static DeleteResult FromWire(Wire.DeleteResponse response) => new()
    {
        Deleted = response.Success,
        ConditionFailed = response.ConditionFailed,
        Version = new(response.Version),
        Previous = response.Previous is { } previous ? FromWire(previous) : null,
    };

    public static KeyValue FromWire(Wire.KeyValue pair) => new()
    {
        Key = pair.Key.Memory,
        Value = pair.Value.Memory,
        Version = new(pair.Version),
        TimeToLive = Remaining(pair.TtlRemainingMs),
        Type = (DataType)pair.Type,
    };

    public static TransactionResult FromWire(Wire.TxnResponse response) => new()
    {
        Succeeded = response.Succeeded,
        Version = new(response.Version),
        Results = [.. response.Results.Select(r => r.ResultCase switch
        {
            Wire.TxnResult.ResultOneofCase.Get => new TransactionOperationResult { Get = FromWire(r.Get) },
            Wire.TxnResult.ResultOneofCase.Put => new TransactionOperationResult { Put = FromWire(r.Put) },
            Wire.TxnResult.ResultOneofCase.Delete => new TransactionOperationResult { Delete = FromWire(r.Delete) },
            _ => new TransactionOperationResult(),
        })],
    };

    public static HistoryEntry FromWire(Wire.HistoryResponse.Types.Entry entry) => new()
    {
        Version = new(entry.Version),
        Value = entry.Value.Memory,
        Deleted = entry.Deleted,
        Type = (DataType)entry.Type,
        ExpiresAt = entry.ExpiresUnixMs > 0 ? DateTimeOffset.FromUnixTimeMilliseconds(Math.Min(entry.ExpiresUnixMs,
            DateTimeOffset.MaxValue.ToUnixTimeMilliseconds())) : null,
    };

    public static WatchEvent FromWire(Wire.WatchEvent watchEvent) => new()
    {
        Kind = watchEvent.Reason switch
        {
            Wire.WatchReason.Put or Wire.WatchReason.Delete or Wire.WatchReason.Expired or Wire.WatchReason.Progress =>
                (WatchEventKind)watchEvent.Reason,
            _ => watchEvent.EventType switch
            {
                "DELETE" => WatchEventKind.Delete,
                "PROGRESS" => WatchEventKind.Progress,
                _ => WatchEventKind.Put,
            },
        },
        Key = watchEvent.Key.Memory,
        Value = watchEvent.Value.Memory,
        Type = (DataType)watchEvent.Type,
        Version = new(watchEvent.Version),
        Previous = watchEvent.Previous is { } previous ? FromWire(previous) : null,
        ResumeToken = watchEvent.ResumeToken.Memory,
    };

    /// <summary>Null for none. What is longer than any <see cref="TimeSpan"/> is the longest.</summary>
    public static TimeSpan? Remaining(long ttlRemainingMs) =>
        ttlRemainingMs > 0 ? TimeSpan.FromMilliseconds(Math.Min(ttlRemainingMs, (long)TimeSpan.MaxValue.TotalMilliseconds)) : null;
}

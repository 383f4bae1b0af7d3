using System.Text;
using Google.Protobuf;
using Henge.Core;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Tests.Fakes;

/// <summary>
/// A key-value service that does what the API says, over a dictionary of versions: enough to run the client and the command line against.
/// </summary>
public sealed class MemoryStore
{
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, List<Entry>> _keys = new(StringComparer.Ordinal);
    private readonly List<Wire.WatchEvent> _events = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ulong _version = Core.Version.FromTime(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero)).Value;

    /// <summary>How often each client id and sequence has taken effect.</summary>
    public Dictionary<(ulong Client, ulong Sequence), int> Effects { get; } = [];

    private readonly Dictionary<(ulong Client, ulong Sequence), Wire.PutResponse> _sessions = [];

    public ulong Version => _version;

    public async Task HandleAsync(FakeCall call)
    {
        switch (call.Method)
        {
            case "Get":
                await call.WriteAsync(Get((await call.ReadAsync(Wire.GetRequest.Parser))!));
                break;
            case "Put":
                await call.WriteAsync(Put((await call.ReadAsync(Wire.PutRequest.Parser))!));
                break;
            case "Delete":
                await call.WriteAsync(Delete((await call.ReadAsync(Wire.DeleteRequest.Parser))!));
                break;
            case "Txn":
                await call.WriteAsync(Txn((await call.ReadAsync(Wire.TxnRequest.Parser))!));
                break;
            case "Scan":
                await call.WriteAsync(Scan((await call.ReadAsync(Wire.ScanRequest.Parser))!));
                break;
            case "History":
                await call.WriteAsync(History((await call.ReadAsync(Wire.HistoryRequest.Parser))!));
                break;
            case "Watch":
                await WatchAsync(call, (await call.ReadAsync(Wire.WatchRequest.Parser))!, int.MaxValue);
                break;
            case "Session":
                await SessionAsync(call);
                break;
            default:
                call.Fail(ErrorCode.UnsupportedFormat, "no such method");
                break;
        }
    }

    public Wire.GetResponse Get(Wire.GetRequest request)
    {
        lock (_lock)
        {
            Entry? entry = At(request.Key, request.Version == 0 ? ulong.MaxValue : request.Version);
            return entry is { Value: { } value }
                ? new Wire.GetResponse { Found = true, Value = value, Version = entry.Version, TtlRemainingMs = entry.TtlMs }
                : new Wire.GetResponse();
        }
    }

    public Wire.PutResponse Put(Wire.PutRequest request)
    {
        lock (_lock)
        {
            if (request.ClientId != 0 && _sessions.TryGetValue((request.ClientId, request.Sequence), out Wire.PutResponse? done))
            {
                return done;
            }

            Entry? now = At(request.Key, ulong.MaxValue);
            ulong at = now is { Value: not null } ? now.Version : 0;
            Wire.PutResponse response;
            if (request.HasIfVersion && request.IfVersion != at)
            {
                response = new Wire.PutResponse { Success = false, Version = at };
            }
            else
            {
                Write(request.Key, request.Value, (long)request.TtlMs);
                response = new Wire.PutResponse { Success = true, Version = _version };
                if (request.ReturnPrevious && now is { Value: { } previous })
                {
                    response.Previous = new Wire.KeyValue { Key = request.Key, Value = previous, Version = now.Version };
                }

                Effects[(request.ClientId, request.Sequence)] = Effects.GetValueOrDefault((request.ClientId, request.Sequence)) + 1;
            }

            _sessions[(request.ClientId, request.Sequence)] = response;
            return response;
        }
    }

    public Wire.DeleteResponse Delete(Wire.DeleteRequest request)
    {
        lock (_lock)
        {
            Entry? now = At(request.Key, ulong.MaxValue);
            if (now is not { Value: not null })
            {
                return new Wire.DeleteResponse();
            }

            if (request.HasIfVersion && request.IfVersion != now.Version)
            {
                return new Wire.DeleteResponse { ConditionFailed = true, Version = now.Version };
            }

            Write(request.Key, null, 0);
            return new Wire.DeleteResponse { Success = true, Version = _version };
        }
    }

    private Wire.TxnResponse Txn(Wire.TxnRequest request)
    {
        lock (_lock)
        {
            bool holds = request.Compare.All(Holds);
            Wire.TxnResponse response = new() { Succeeded = holds };
            foreach (Wire.TxnOperation operation in holds ? request.Then : request.Otherwise)
            {
                response.Results.Add(operation.OperationCase switch
                {
                    Wire.TxnOperation.OperationOneofCase.Get => new Wire.TxnResult { Get = Get(operation.Get) },
                    Wire.TxnOperation.OperationOneofCase.Put => new Wire.TxnResult { Put = PutInside(operation.Put) },
                    _ => new Wire.TxnResult { Delete = Delete(operation.Delete) },
                });
            }

            response.Version = _version;
            return response;
        }
    }

    private Wire.PutResponse PutInside(Wire.PutRequest put)
    {
        Write(put.Key, put.Value, (long)put.TtlMs);
        return new Wire.PutResponse { Success = true, Version = _version };
    }

    private bool Holds(Wire.Compare compare)
    {
        Entry? now = At(compare.Key, ulong.MaxValue);
        ulong version = now is { Value: not null } ? now.Version : 0;
        int order = compare.TargetCase switch
        {
            Wire.Compare.TargetOneofCase.Version => version.CompareTo(compare.Version),
            Wire.Compare.TargetOneofCase.Value => (now?.Value ?? ByteString.Empty).Span.SequenceCompareTo(compare.Value.Span),
            _ => (version != 0).CompareTo(compare.Exists),
        };
        return compare.Relation switch
        {
            Wire.Compare.Types.Relation.Equal => order == 0,
            Wire.Compare.Types.Relation.NotEqual => order != 0,
            Wire.Compare.Types.Relation.Less => order < 0,
            _ => order > 0,
        };
    }

    /// <summary>Pages of at most three pairs, so that paging is the rule.</summary>
    private Wire.ScanResponse Scan(Wire.ScanRequest request)
    {
        lock (_lock)
        {
            ulong at = request.Version != 0 ? request.Version : _version;
            string after = "";
            if (!request.Continuation.IsEmpty)
            {
                string[] parts = request.Continuation.ToStringUtf8().Split('\n');
                at = ulong.Parse(parts[0]);
                after = parts[1];
            }

            List<Wire.KeyValue> found = [];
            foreach (string name in request.Reverse ? _keys.Keys.Reverse() : _keys.Keys)
            {
                ByteString key = ByteString.FromBase64(name.Split(' ')[1]);
                if (
                    At(key, at) is { Value: { } value } entry
                    && InRange(request, key)
                    && (
                        after.Length == 0
                        || (request.Reverse ? string.CompareOrdinal(name, after) < 0 : string.CompareOrdinal(name, after) > 0)))
                {
                    found.Add(
                        new Wire.KeyValue
                        {
                            Key = key,
                            Value = request.KeysOnly ? ByteString.Empty : value,
                            Version = entry.Version,
                        });
                }
            }

            int page = request.Limit == 0 ? 3 : (int)Math.Min(request.Limit, 3);
            Wire.ScanResponse response = new() { Version = at };
            if (request.CountOnly)
            {
                response.Count = (ulong)Math.Min(found.Count, page);
            }
            else
            {
                response.Pairs.AddRange(found.Take(page));
            }

            if (found.Count > page)
            {
                response.Continuation = ByteString.CopyFromUtf8(at + "\n" + NameOf(found[page - 1].Key));
            }

            return response;
        }
    }

    private static bool InRange(Wire.ScanRequest request, ByteString key) =>
        (request.Prefix.IsEmpty || key.Span.StartsWith(request.Prefix.Span))
        && (request.StartKey.IsEmpty || key.Span.SequenceCompareTo(request.StartKey.Span) >= 0)
        && (request.EndKey.IsEmpty || key.Span.SequenceCompareTo(request.EndKey.Span) < 0);

    private Wire.HistoryResponse History(Wire.HistoryRequest request)
    {
        lock (_lock)
        {
            Wire.HistoryResponse response = new() { OldestVersion = 1 };
            List<Entry> all = _keys.GetValueOrDefault(NameOf(request.Key)) ?? [];
            Entry[] found = [.. all.Where(e => request.MaxVersion == 0 || e.Version <= request.MaxVersion).Reverse()];
            int page = request.Limit == 0 ? 2 : (int)Math.Min(request.Limit, 2);
            foreach (Entry entry in found.Take(page))
            {
                response.Entries.Add(
                    new Wire.HistoryResponse.Types.Entry
                    {
                        Version = entry.Version,
                        Value = entry.Value ?? ByteString.Empty,
                        Deleted = entry.Value is null,
                    });
            }

            response.More = found.Length > page;
            return response;
        }
    }

    /// <summary>Sends events from the log of all; after <paramref name="most"/> of them the connection breaks.</summary>
    public async Task WatchAsync(FakeCall call, Wire.WatchRequest request, int most)
    {
        int position;
        lock (_lock)
        {
            position = !request.ResumeToken.IsEmpty ? int.Parse(request.ResumeToken.ToStringUtf8())
                : request.StartVersion > 0 ? _events.FindIndex(e => e.Version >= request.StartVersion) is var i and >= 0 ? i : _events.Count
                : _events.Count;
        }

        await call.WriteAsync(
            new Wire.WatchEvent
            {
                EventType = "PROGRESS",
                Reason = Wire.WatchReason.Progress,
                ResumeToken = ByteString.CopyFromUtf8(position.ToString()),
            });
        while (!call.Http.RequestAborted.IsCancellationRequested)
        {
            Wire.WatchEvent? next;
            Task changed;
            lock (_lock)
            {
                next = position < _events.Count ? _events[position] : null;
                changed = _changed.Task;
            }

            if (next is null)
            {
                await Task.WhenAny(changed, Task.Delay(Timeout.Infinite, call.Http.RequestAborted));
                continue;
            }

            position++;
            if (next.Key.Span.StartsWith(request.KeyPrefix.Span))
            {
                if (most-- == 0)
                {
                    // Breaking off may lose what was sent already; a node that stops ends the stream in order.
                    if (position % 2 == 0)
                    {
                        call.Abort();
                    }
                    else
                    {
                        call.Fail(ErrorCode.Stopping);
                    }

                    return;
                }

                Wire.WatchEvent sent = next.Clone();
                sent.ResumeToken = ByteString.CopyFromUtf8(position.ToString());
                await call.WriteAsync(sent);
            }
        }
    }

    private async Task SessionAsync(FakeCall call)
    {
        await call.Http.Response.StartAsync();
        while (await call.ReadAsync(Wire.SessionRequest.Parser) is { } request)
        {
            Wire.SessionResponse response = new();
            foreach (Wire.SessionOperation operation in request.Operations)
            {
                response.Results.Add(Answer(operation));
            }

            await call.WriteAsync(response);
        }
    }

    public Wire.SessionResult Answer(Wire.SessionOperation operation) => operation.OperationCase switch
    {
        Wire.SessionOperation.OperationOneofCase.Get => new Wire.SessionResult { Id = operation.Id, Get = Get(operation.Get) },
        Wire.SessionOperation.OperationOneofCase.Put => new Wire.SessionResult { Id = operation.Id, Put = Put(operation.Put) },
        Wire.SessionOperation.OperationOneofCase.Delete => new Wire.SessionResult { Id = operation.Id, Delete = Delete(operation.Delete) },
        Wire.SessionOperation.OperationOneofCase.Txn => new Wire.SessionResult { Id = operation.Id, Txn = Txn(operation.Txn) },
        _ => new Wire.SessionResult { Id = operation.Id, Scan = Scan(operation.Scan) },
    };

    private void Write(ByteString key, ByteString? value, long ttlMs)
    {
        _version++;
        string name = NameOf(key);
        if (!_keys.TryGetValue(name, out List<Entry>? versions))
        {
            _keys[name] = versions = [];
        }

        versions.Add(new Entry(_version, value, ttlMs));
        _events.Add(new Wire.WatchEvent
        {
            Key = key,
            Value = value ?? ByteString.Empty,
            EventType = value is null ? "DELETE" : "PUT",
            Reason = value is null ? Wire.WatchReason.Delete : Wire.WatchReason.Put,
            Version = _version,
        });
        TaskCompletionSource changed = _changed;
        _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        changed.SetResult();
    }

    private Entry? At(ByteString key, ulong version) => _keys.GetValueOrDefault(NameOf(key))?.LastOrDefault(e => e.Version <= version);

    // Hexadecimal keeps the bytes' order; the base64 behind it gives the key back.
    private static string NameOf(ByteString key) => Convert.ToHexString(key.Span) + " " + key.ToBase64();

    private sealed record Entry(ulong Version, ByteString? Value, long TtlMs);
}

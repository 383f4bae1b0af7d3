using System.Diagnostics.CodeAnalysis;
using System.IO.Hashing;
using System.Runtime.CompilerServices;
using System.Text;
using Henge.Client.Mapping;
using Henge.Client.Ordering;
using Henge.Client.Retry;
using Henge.Client.Routing;
using Henge.Client.Sessions;
using Henge.Client.Transport;
using Henge.Client.Watching;
using Wire = Henge.Protocol.V1;

namespace Henge.Client;

/// <summary>
/// A client of a Henge cluster. Make one and share it: it is thread-safe, and all callers share its connections. Keys are at most 16 KiB
/// and values 4 MiB unless the nodes are set otherwise.
/// <para>
/// Memory given to it must not change until the call has ended. Every call ends within its deadline. Errors are
/// <see cref="Core.HengeException"/>s with a type for each <see cref="Core.ErrorCode"/>. Writes are retried only in a way that lets them
/// take effect at most once; a write whose fate cannot be learnt within the deadline ends with <see cref="UnknownOutcomeException"/>. A
/// call cancelled by its token ends with <see cref="OperationCanceledException"/>, and a write so cancelled may or may not have taken
/// effect.
/// </para>
/// </summary>
public sealed partial class HengeClient : IAsyncDisposable, IDisposable
{
    private readonly HengeClientOptions _options;
    private readonly NodeTransport _transport;
    private readonly Router _router;
    private readonly TopologyFollower _follower;
    private readonly RequestRunner _runner;
    private readonly RetryBudget _budget;
    private readonly WriteLanes _lanes = new();
    private readonly KeyTurns? _turns;
    private readonly WriteVoider? _voider;
    private readonly SessionDispatcher? _sessions;
    private bool _disposed;

    /// <summary>Makes a client; connects to nothing until the first call.</summary>
    /// <exception cref="ArgumentException">A setting makes no sense; the message names it.</exception>
    public HengeClient(HengeClientOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        _options = options;
        ClusterPin pin = new(options.ClusterId);
        _transport = new NodeTransport(options, pin);
        _router = new Router(options, pin);
        _budget = new RetryBudget(options.RetryBudget, options.TimeProvider);
        _follower = new TopologyFollower(_transport, _router, options);
        _runner = new RequestRunner(_transport, _router, _budget, options);
        _turns = options.OrderByKey ? new KeyTurns() : null;
        _voider = _turns is null ? null : new WriteVoider(_runner, _turns, options);
        _sessions = options.UseSessions
            ? new SessionDispatcher(_transport, _router, _runner, _budget, _lanes, _turns, _voider, options)
            : null;
        _router.NodesChanged = addresses =>
        {
            _sessions?.Keep(addresses);
            _transport.Keep(addresses);
        };
    }

    /// <summary>Makes a client that begins with these nodes, each <c>host:port</c>.</summary>
    public HengeClient(params string[] peers) : this(new HengeClientOptions { Peers = peers })
    {
    }

    /// <summary>Reads one key, now or as of a version or a time.</summary>
    /// <exception cref="HistoryGoneException">The version or time lies below the retained history.</exception>
    public ValueTask<GetResult> GetAsync(
        ReadOnlyMemory<byte> key,
        GetOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        options ??= GetOptions.Default;
        _ = WireMapping.TimeOf(options);
        if (!TryRent(SessionCallKind.Get, key.Length, cancellationToken, out SessionCall? call))
        {
            return GetUnaryAsync(key, options, cancellationToken);
        }

        call.Key = key;
        return Start(call, options);
    }

    /// <inheritdoc cref="GetAsync(ReadOnlyMemory{byte}, GetOptions?, CancellationToken)"/>
    public ValueTask<GetResult> GetAsync(string key, GetOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(key);
        options ??= GetOptions.Default;
        _ = WireMapping.TimeOf(options);
        if (!TryRent(SessionCallKind.Get, key.Length, cancellationToken, out SessionCall? call))
        {
            return GetUnaryAsync(Utf8(key), options, cancellationToken);
        }

        call.RentTexts(key, null);
        return Start(call, options);
    }

    /// <summary>Writes one key, if its condition holds.</summary>
    /// <exception cref="UnknownOutcomeException">The write may or may not have taken effect.</exception>
    public ValueTask<PutResult> PutAsync(
        ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, PutOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= PutOptions.Default;
        if (!TryRent(SessionCallKind.Put, (long)key.Length + value.Length, cancellationToken, out SessionCall? call))
        {
            return PutUnaryAsync(key, value, options, cancellationToken);
        }

        call.Key = key;
        call.Value = value;
        return Start(call, options);
    }

    /// <inheritdoc cref="PutAsync(ReadOnlyMemory{byte}, ReadOnlyMemory{byte}, PutOptions?, CancellationToken)"/>
    public ValueTask<PutResult> PutAsync(
        string key,
        ReadOnlyMemory<byte> value,
        PutOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(key);
        options ??= PutOptions.Default;
        if (!TryRent(SessionCallKind.Put, (long)key.Length + value.Length, cancellationToken, out SessionCall? call))
        {
            return PutUnaryAsync(Utf8(key), value, options, cancellationToken);
        }

        call.RentTexts(key, null);
        call.Value = value;
        return Start(call, options);
    }

    /// <inheritdoc cref="PutAsync(ReadOnlyMemory{byte}, ReadOnlyMemory{byte}, PutOptions?, CancellationToken)"/>
    public ValueTask<PutResult> PutAsync(
        string key,
        string value,
        PutOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(value);
        options ??= PutOptions.Default;
        if (!TryRent(SessionCallKind.Put, (long)key.Length + value.Length, cancellationToken, out SessionCall? call))
        {
            return PutUnaryAsync(Utf8(key), Utf8(value), options, cancellationToken);
        }

        call.RentTexts(key, value);
        return Start(call, options);
    }

    /// <summary>Deletes one key, if its condition holds.</summary>
    /// <exception cref="UnknownOutcomeException">The delete may or may not have taken effect.</exception>
    public ValueTask<DeleteResult> DeleteAsync(
        ReadOnlyMemory<byte> key,
        DeleteOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        options ??= DeleteOptions.Default;
        if (!TryRent(SessionCallKind.Delete, key.Length, cancellationToken, out SessionCall? call))
        {
            return DeleteUnaryAsync(key, options, cancellationToken);
        }

        call.Key = key;
        call.DeleteOptions = options;
        call.Number = NumberFor(key);
        short token = call.Version;
        _sessions!.Start(call, options.Deadline);
        return new ValueTask<DeleteResult>(call, token);
    }

    /// <inheritdoc cref="DeleteAsync(ReadOnlyMemory{byte}, DeleteOptions?, CancellationToken)"/>
    public ValueTask<DeleteResult> DeleteAsync(string key, DeleteOptions? options = null, CancellationToken cancellationToken = default) =>
        DeleteAsync(Utf8(key), options, cancellationToken);

    private bool TryRent(SessionCallKind kind, long bytes, CancellationToken cancellationToken, [NotNullWhen(true)] out SessionCall? call)
    {
        ThrowIfDisposed();
        cancellationToken.ThrowIfCancellationRequested();
        _follower.StartIf(_options.RouteToLeaders);
        if (_sessions is not { IsSupported: true } || bytes > SessionDispatcher.LimitBytes)
        {
            call = null;
            return false;
        }

        call = _sessions.Rent();
        call.Kind = kind;
        call.CancellationToken = cancellationToken;
        return true;
    }

    private WriteNumber NumberFor(ReadOnlyMemory<byte> key) => _lanes.Rent((int)(_router.Map.Shards?.ShardOf(key.Span).Value ?? 0));

    private ValueTask<GetResult> Start(SessionCall call, GetOptions options)
    {
        call.GetOptions = options;
        short token = call.Version;
        _sessions!.Start(call, options.Deadline);
        return new ValueTask<GetResult>(call, token);
    }

    private ValueTask<PutResult> Start(SessionCall call, PutOptions options)
    {
        call.PutOptions = options;
        call.Number = NumberFor(call.Key);
        short token = call.Version;
        _sessions!.Start(call, options.Deadline);
        return new ValueTask<PutResult>(call, token);
    }

    private async ValueTask<GetResult> GetUnaryAsync(ReadOnlyMemory<byte> key, GetOptions options, CancellationToken cancellationToken)
    {
        Wire.GetRequest request = WireMapping.Get(key, options, _options);
        return WireMapping.FromWire(
            await InTurnAsync(NodeCalls.Get, request, key, null, null, options.Deadline, cancellationToken).ConfigureAwait(false));
    }

    private async ValueTask<PutResult> PutUnaryAsync(
        ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, PutOptions options, CancellationToken cancellationToken)
    {
        Wire.PutRequest request = WireMapping.Put(key, value, options);
        WriteNumber number = NumberFor(key);
        try
        {
            request.ClientId = number.ClientId;
            request.Sequence = number.Sequence;
            request.SessionFlags = number.Flags;
            return WireMapping.FromWire(
                await AnsweredAsync(number, InTurnAsync(NodeCalls.Put, request, key, null, number, options.Deadline, cancellationToken))
                    .ConfigureAwait(false));
        }
        finally
        {
            _lanes.Return(number);
        }
    }

    private async ValueTask<DeleteResult> DeleteUnaryAsync(
        ReadOnlyMemory<byte> key,
        DeleteOptions options,
        CancellationToken cancellationToken)
    {
        Wire.DeleteRequest request = WireMapping.Delete(key, options);
        WriteNumber number = NumberFor(key);
        try
        {
            request.ClientId = number.ClientId;
            request.Sequence = number.Sequence;
            request.SessionFlags = number.Flags;
            return WireMapping.FromWire(
                await AnsweredAsync(number, InTurnAsync(NodeCalls.Delete, request, key, null, number, options.Deadline, cancellationToken))
                    .ConfigureAwait(false));
        }
        finally
        {
            _lanes.Return(number);
        }
    }

    /// <summary>
    /// Runs an operation on one key, or on several, as calls of its own, when the operations on them that were called before it have ended.
    /// </summary>
    private async Task<TResponse> InTurnAsync<TRequest, TResponse>(
        NodeCall<TRequest, TResponse> call,
        TRequest request,
        ReadOnlyMemory<byte> key,
        HashSet<ulong>? keys,
        WriteNumber? write,
        TimeSpan? deadline,
        CancellationToken cancellationToken)
        where TRequest : class, Google.Protobuf.IMessage
        where TResponse : class
    {
        ThrowIfDisposed();
        _follower.StartIf(_options.RouteToLeaders);
        long startedAt = _options.TimeProvider.GetTimestamp();
        if (_turns is null || request is Wire.GetRequest { Consistency: Wire.Consistency.Stale })
        {
            return await _runner.RunAsync(call, request, key, repeatable: true, deadline, cancellationToken).ConfigureAwait(false);
        }

        TaskTurn turn = new();
        bool begins = keys is null
            ? _turns.TryEnter(turn, XxHash64.HashToUInt64(key.Span), writes: write is not null)
            : _turns.TryEnter(turn, keys);
        if (!begins)
        {
            await turn.WaitAsync(deadline ?? _options.DefaultDeadline, _options.TimeProvider, cancellationToken).ConfigureAwait(false);
        }

        try
        {
            return await _runner
                .RunAsync(call, request, key, repeatable: true, deadline, cancellationToken, startedAt: startedAt)
                .ConfigureAwait(false);
        }
        catch (Exception e) when (write is { } number && WriteVoider.IsInDoubt(e))
        {
            _voider!.TryVoid(turn, key.Span, number);
            throw;
        }
        finally
        {
            _turns.Leave(turn);
        }
    }

    /// <summary>Begins a transaction; nothing is sent before <see cref="Transaction.CommitAsync"/>.</summary>
    public Transaction Transaction() => new(CommitAsync);

    private async Task<TransactionResult> CommitAsync(Transaction transaction, TimeSpan? deadline, CancellationToken cancellationToken)
    {
        if (deadline is { } timeout && timeout <= TimeSpan.Zero)
        {
            throw new ArgumentOutOfRangeException(
                nameof(deadline),
                timeout,
                "A deadline is more than zero; leave it null for the client's default.");
        }

        Wire.TxnRequest request = WireMapping.Txn(transaction);
        ReadOnlyMemory<byte> key =
            transaction.Compares.Count > 0 ? transaction.Compares[0].Key
            : transaction.ThenOperations.Count > 0 ? transaction.ThenOperations[0].Key
            : transaction.ElseOperations.Count > 0 ? transaction.ElseOperations[0].Key
            : throw new ArgumentException(
                "The transaction is empty; add comparisons or operations before committing it.",
                nameof(transaction));
        if (TryRent(SessionCallKind.Txn, request.CalculateSize(), cancellationToken, out SessionCall? call))
        {
            call.Number = NumberFor(key);
            request.ClientId = call.Number.ClientId;
            request.Sequence = call.Number.Sequence;
            request.SessionFlags = call.Number.Flags;
            call.Key = key;
            call.Txn = request;
            short token = call.Version;
            _sessions!.Start(call, deadline);
            return await new ValueTask<TransactionResult>(call, token).ConfigureAwait(false);
        }

        WriteNumber number = NumberFor(key);
        try
        {
            request.ClientId = number.ClientId;
            request.Sequence = number.Sequence;
            request.SessionFlags = number.Flags;
            HashSet<ulong> keys = WireMapping.HashesOf(request);
            return WireMapping.FromWire(
                await AnsweredAsync(number, InTurnAsync(NodeCalls.Txn, request, key, keys, number, deadline, cancellationToken))
                    .ConfigureAwait(false));
        }
        finally
        {
            _lanes.Return(number);
        }
    }

    /// <summary>
    /// Reads a range in order, page by page while it is enumerated, all as of one version: a consistent cut through all shards. Memory is
    /// bounded by a page. The deadline is for each page.
    /// </summary>
    /// <exception cref="HistoryGoneException">The version lies below the retained history, or fell below it while the scan went
    /// on.</exception>
    public async IAsyncEnumerable<KeyValue> ScanAsync(
        ScanOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        options ??= new ScanOptions();
        long given = 0;
        ReadOnlyMemory<byte> continuation = default;
        do
        {
            ScanPage page = await ScanPageAsync(options, continuation, options.Limit - given, cancellationToken).ConfigureAwait(false);
            foreach (KeyValue pair in page.Pairs)
            {
                yield return pair;
                if (++given == options.Limit)
                {
                    yield break;
                }
            }

            continuation = page.Continuation;
        }
        while (!continuation.IsEmpty);
    }

    /// <summary>Reads one page of a range; <paramref name="continuation"/> is an earlier page's, or empty for the first.</summary>
    public Task<ScanPage> ScanPageAsync(
        ScanOptions? options = null, ReadOnlyMemory<byte> continuation = default, CancellationToken cancellationToken = default) =>
        ScanPageAsync(options ?? new ScanOptions(), continuation, options?.Limit ?? 0, cancellationToken);

    private async Task<ScanPage> ScanPageAsync(
        ScanOptions options, ReadOnlyMemory<byte> continuation, long most, CancellationToken cancellationToken)
    {
        Wire.ScanRequest request = WireMapping.Scan(options, _options);
        request.Continuation = WireMapping.Bytes(continuation);
        long limit = options.PageSize > 0 && (most <= 0 || most > options.PageSize) ? options.PageSize : Math.Max(most, 0);
        request.Limit = (uint)Math.Min(limit, uint.MaxValue);
        Wire.ScanResponse response = await RunAsync(NodeCalls.Scan, request, default, options, cancellationToken).ConfigureAwait(false);
        KeyValue[] pairs = new KeyValue[response.Pairs.Count];
        for (int i = 0; i < pairs.Length; i++)
        {
            pairs[i] = WireMapping.FromWire(response.Pairs[i]);
        }

        return new ScanPage { Pairs = pairs, Continuation = response.Continuation.Memory, Version = new(response.Version) };
    }

    /// <summary>
    /// Counts the keys of a range, as of one version; the nodes count, nothing is transferred. The deadline is for each part that is
    /// counted.
    /// </summary>
    public async Task<long> CountAsync(ScanOptions? options = null, CancellationToken cancellationToken = default)
    {
        options ??= new ScanOptions();
        Wire.ScanRequest request = WireMapping.Scan(options, _options);
        request.CountOnly = true;
        long count = 0;
        while (true)
        {
            Wire.ScanResponse response = await RunAsync(NodeCalls.Scan, request, default, options, cancellationToken).ConfigureAwait(false);
            count += (long)response.Count;
            if (options.Limit > 0 && count >= options.Limit)
            {
                return options.Limit;
            }

            if (response.Continuation.IsEmpty)
            {
                return count;
            }

            request.Continuation = response.Continuation;
        }
    }

    /// <summary>
    /// The versions that one key has had, newest first, page by page while it is enumerated. The deadline is for each page.
    /// </summary>
    public async IAsyncEnumerable<HistoryEntry> HistoryAsync(
        ReadOnlyMemory<byte> key, HistoryOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        options ??= HistoryOptions.Default;
        ulong newest = options.MaxVersion.Value;
        int given = 0;
        while (true)
        {
            Wire.HistoryRequest request = new()
            {
                Key = WireMapping.Bytes(key),
                Limit = (uint)Math.Max(options.Limit - given, 0),
                MaxVersion = newest,
                Consistency = options.Consistency.ToWire(_options),
            };
            Wire.HistoryResponse response = await RunAsync(NodeCalls.History, request, key, options, cancellationToken)
                .ConfigureAwait(false);
            foreach (Wire.HistoryResponse.Types.Entry entry in response.Entries)
            {
                yield return WireMapping.FromWire(entry);
                newest = entry.Version - 1;
                if (++given == options.Limit)
                {
                    yield break;
                }
            }

            if (!response.More || response.Entries.Count == 0 || newest == 0)
            {
                yield break;
            }
        }
    }

    /// <inheritdoc cref="HistoryAsync(ReadOnlyMemory{byte}, HistoryOptions?, CancellationToken)"/>
    public IAsyncEnumerable<HistoryEntry> HistoryAsync(
        string key,
        HistoryOptions? options = null,
        CancellationToken cancellationToken = default
    ) => HistoryAsync(Utf8(key), options, cancellationToken);

    /// <summary>
    /// Watches keys: each event once, those of one key in order. A broken connection is made anew and the watch goes on where it stood,
    /// without gap or repetition. Ends only by the token, or with an exception.
    /// </summary>
    /// <exception cref="HistoryGoneException">Events between where the watch stood and now have been forgotten by the cluster.</exception>
    /// <exception cref="UnavailableException">No node could be reached for <see cref="WatchOptions.ReconnectTimeout"/>.</exception>
    public IAsyncEnumerable<WatchEvent> WatchAsync(WatchOptions? options = null, CancellationToken cancellationToken = default)
    {
        ThrowIfDisposed();
        _follower.StartIf(_options.RouteToLeaders);
        return WatchLoop.RunAsync(_transport, _router, _options, options ?? new WatchOptions(), cancellationToken);
    }

    private static async Task<TResponse> AnsweredAsync<TResponse>(WriteNumber number, Task<TResponse> answer)
    {
        TResponse response = await answer.ConfigureAwait(false);
        number.OnAnswered();
        return response;
    }

    private Task<TResponse> RunAsync<TRequest, TResponse>(
        NodeCall<TRequest, TResponse> call,
        TRequest request,
        ReadOnlyMemory<byte> key,
        RequestOptions options,
        CancellationToken cancellationToken)
        where TRequest : class, Google.Protobuf.IMessage
        where TResponse : class =>
        RunAsync(call, request, key, options.Deadline, cancellationToken);

    private Task<TResponse> RunAsync<TRequest, TResponse>(
        NodeCall<TRequest, TResponse> call,
        TRequest request,
        ReadOnlyMemory<byte> key,
        TimeSpan? deadline,
        CancellationToken cancellationToken)
        where TRequest : class, Google.Protobuf.IMessage
        where TResponse : class
    {
        ThrowIfDisposed();
        _follower.StartIf(_options.RouteToLeaders);
        return _runner.RunAsync(call, request, key, repeatable: true, deadline, cancellationToken);
    }

    private static byte[] Utf8(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Encoding.UTF8.GetBytes(text);
    }

    private void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(_disposed, this);

    /// <summary>Closes all connections; what is under way fails.</summary>
    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _follower.Dispose();
        _voider?.Dispose();
        _sessions?.Dispose();
        _transport.Dispose();
    }

    /// <summary>Closes all connections; what is under way fails.</summary>
    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }
}

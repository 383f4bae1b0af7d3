using System.Runtime.ExceptionServices;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Server.Access;
using Henge.Server.Operations;
using Henge.Thrift.Generated;
using Microsoft.AspNetCore.Connections;
using ErrorCode = Henge.Core.ErrorCode;
using NodeStatus = Henge.Thrift.Generated.NodeStatus;

namespace Henge.Server.Thrift;

/// <summary>
/// The calls of one connection. Each throws the exceptions that it declares, and no others: the generated code would print them. One call
/// at a time.
/// </summary>
/// <param name="node">The node, as whoever is at the other end may use it.</param>
/// <param name="services">What connections share.</param>
/// <param name="caller">Who is at the other end.</param>
/// <param name="connection">The connection.</param>
/// <param name="logIn">Takes a login that was proved.</param>
internal sealed class ThriftCalls(
    IHengeNode node, ThriftServices services, Caller caller, ConnectionContext connection, Action<Login> logIn) : KVStore.IAsync
{
    private readonly NodeLimits _limits = node.Limits;
    private ExceptionDispatchInfo? _fault;

    /// <summary>What the last call met that has no exception of the API: a bug, or the connection's end; null: nothing.</summary>
    public ExceptionDispatchInfo? TakeFault() => Interlocked.Exchange(ref _fault, null);

    /// <inheritdoc/>
    public async Task authAsync(Credentials? credentials, CancellationToken cancellationToken = default) =>
        await AnswerAsync(ThriftMethod.Auth, credentials, AuthAsync);

    /// <inheritdoc/>
    public Task<GetResult> getAsync(GetRequest? request, CancellationToken cancellationToken = default) =>
        AnswerAsync(ThriftMethod.Get, request, GetAsync);

    /// <inheritdoc/>
    public Task<PutResult> putAsync(PutRequest? request, CancellationToken cancellationToken = default) =>
        AnswerAsync(ThriftMethod.Put, request, PutAsync);

    /// <inheritdoc/>
    public Task<DeleteResult> removeAsync(DeleteRequest? request, CancellationToken cancellationToken = default) =>
        AnswerAsync(ThriftMethod.Remove, request, RemoveAsync);

    /// <inheritdoc/>
    public Task<ScanPage> scanAsync(ScanRequest? request, CancellationToken cancellationToken = default) =>
        AnswerAsync(ThriftMethod.Scan, request, ScanAsync);

    /// <inheritdoc/>
    public Task<List<GetResult>> multiGetAsync(MultiGetRequest? request, CancellationToken cancellationToken = default) =>
        AnswerAsync(ThriftMethod.MultiGet, request, MultiGetAsync);

    /// <inheritdoc/>
    public Task<List<PutOutcome>> multiPutAsync(List<PutRequest>? requests, CancellationToken cancellationToken = default) =>
        AnswerAsync(ThriftMethod.MultiPut, requests, MultiPutAsync);

    /// <inheritdoc/>
    public Task<TxnResult> txnAsync(TxnRequest? request, CancellationToken cancellationToken = default) =>
        AnswerAsync(ThriftMethod.Txn, request, TxnAsync);

    /// <inheritdoc/>
    public Task<NodeStatus> statusAsync(CancellationToken cancellationToken = default) =>
        AnswerAsync(ThriftMethod.Status, this, static calls => calls.StatusAsync());

    private async Task<TResult> AnswerAsync<TRequest, TResult>(
        ThriftMethod method, TRequest? request, Func<TRequest, ValueTask<TResult>> call)
        where TRequest : class
    {
        try
        {
            CheckRule(method.Rule);
            return await call(KeyRequests.Given(request, "request"));
        }
        catch (HengeException e)
        {
            services.Metrics?.Failed(e.Code);
            throw ThriftErrors.Of(e, method);
        }
        catch (Exception e)
        {
            // Answered first; the connection ends by it then, as by all doors.
            _fault = ExceptionDispatchInfo.Capture(e);
            services.Metrics?.Failed(ErrorCode.Internal);
            throw ThriftErrors.Of(
                new HengeException(ErrorCode.Internal, "The node met an error of its own; its log may say more."), method);
        }
    }

    // Who was logged in before stays so when the next one is refused.
    private async ValueTask<bool> AuthAsync(Credentials credentials)
    {
        if (services.Logins is not { IsNeeded: true } logins)
        {
            throw KvValidation.Invalid("This cluster does not ask who you are: access is not checked.");
        }

        if (credentials.Token is { } token)
        {
            if (credentials.User is not null || credentials.Password is not null)
            {
                throw KvValidation.Invalid("Both a token and a user are set. Set one of them.");
            }

            logIn(await logins.ByTokenAsync(token, connection.RemoteEndPoint));
            return true;
        }

        string user = KeyRequests.Given(credentials.User, "user (or the token)");
        string password = KeyRequests.Given(credentials.Password, "password");
        logIn(await logins.ByPasswordAsync(user, password, connection.RemoteEndPoint));
        return true;
    }

    private async ValueTask<GetResult> GetAsync(GetRequest request)
    {
        AwaitedOperation get = new()
        {
            Kind = OperationKind.Get,
            Key = KeyRequests.Key(request.Key, _limits),
            ReadVersion = KeyRequests.ReadVersion(request.Version, request.AtUnixMs, node),
            Consistency = KeyRequests.ConsistencyOf(request.Consistency),
            LeaderOnly = request.LeaderOnly,
        };
        await get.RunAsync(node);
        return KeyResults.Of(get, node);
    }

    private async ValueTask<PutResult> PutAsync(PutRequest request)
    {
        OperationBuffer buffer = new();
        KeyRequests.Encode(buffer, request, _limits);
        AwaitedOperation put = KeyRequests.Write(request.Key, buffer.Memory, request.LeaderOnly, _limits);
        await put.RunAsync(node);
        buffer.Clear();
        return KeyResults.Of(put, request, node);
    }

    private async ValueTask<DeleteResult> RemoveAsync(DeleteRequest request)
    {
        OperationBuffer buffer = new();
        KeyRequests.Encode(buffer, request, _limits);
        AwaitedOperation delete = KeyRequests.Write(request.Key, buffer.Memory, request.LeaderOnly, _limits);
        await delete.RunAsync(node);
        buffer.Clear();
        return KeyResults.Of(delete, request, node);
    }

    private async ValueTask<ScanPage> ScanAsync(ScanRequest request)
    {
        RangeScan scan = RangeScan.Create(node, KeyRequests.TermsOf(request, node));
        await scan.BeginAsync();
        if (request.CountOnly)
        {
            ulong count = await scan.CountAsync(connection.ConnectionClosed);
            return new ScanPage { Pairs = [], Continuation = [], Version = (long)scan.Version.Value, Count = (long)count };
        }

        ScanCollector page = new(scan);
        await scan.ReadPageAsync(page);
        return new ScanPage
        {
            Pairs = page.Pairs,
            Continuation = scan.Continuation().ToArray(),
            Version = (long)scan.Version.Value,
            Count = 0,
        };
    }

    private async ValueTask<List<GetResult>> MultiGetAsync(MultiGetRequest request)
    {
        List<byte[]> keys = KeyRequests.Given(request.Keys, "list of keys");
        Core.Version version = KeyRequests.ReadVersion(request.Version, request.AtUnixMs, node);
        ReadConsistency consistency = KeyRequests.ConsistencyOf(request.Consistency);
        if (keys.Count == 0)
        {
            CheckKnown();
        }

        var gets = new AwaitedOperation[keys.Count];
        for (int i = 0; i < gets.Length; i++)
        {
            gets[i] = new AwaitedOperation
            {
                Kind = OperationKind.Get,
                Key = KeyRequests.Key(keys[i], _limits),
                ReadVersion = version,
                Consistency = consistency,
            };
        }

        await AwaitedOperation.RunAllAsync(node, gets);
        long left = _limits.CommandBytes;
        List<GetResult> results = new(gets.Length);
        foreach (AwaitedOperation get in gets)
        {
            if (get.Problem is { } problem)
            {
                throw problem;
            }

            GetResult result = KeyResults.Of(get, node);
            left -= result.Value?.Length ?? 0;
            if (left < 0)
            {
                throw new HengeException(
                    ErrorCode.TooLarge,
                    $"The values of these keys have more than {_limits.CommandBytes} bytes together. Ask for fewer keys at a time.");
            }

            results.Add(result);
        }

        return results;
    }

    private async ValueTask<List<PutOutcome>> MultiPutAsync(List<PutRequest> requests)
    {
        if (requests.Count == 0)
        {
            CheckKnown();
        }

        // All are looked at before one is done. Buffers stay where they are for as long as the node has them.
        OperationBuffer[] buffers = [.. requests.Select(static _ => new OperationBuffer())];
        var puts = new AwaitedOperation[requests.Count];
        for (int i = 0; i < puts.Length; i++)
        {
            KeyRequests.Encode(buffers[i], requests[i], _limits);
            puts[i] = KeyRequests.Write(requests[i].Key, buffers[i].Memory, requests[i].LeaderOnly, _limits);
        }

        await AwaitedOperation.RunAllAsync(node, puts);
        if (puts.Length > 0 && Array.TrueForAll(puts, static p => p.Error == ErrorCode.Unauthenticated))
        {
            // A matter of the call, and not of one of its keys.
            throw puts[0].Problem!;
        }

        List<PutOutcome> outcomes = new(puts.Length);
        for (int i = 0; i < puts.Length; i++)
        {
            buffers[i].Clear();
            outcomes.Add(OutcomeOf(puts[i], requests[i]));
        }

        return outcomes;
    }

    private PutOutcome OutcomeOf(AwaitedOperation put, PutRequest request)
    {
        try
        {
            return put.Problem is { } problem ? throw problem : new PutOutcome { Result = KeyResults.Of(put, request, node) };
        }
        catch (HengeException e)
        {
            services.Metrics?.Failed(e.Code);
            return new PutOutcome { Failure = ThriftErrors.FailureOf(e) };
        }
    }

    private async ValueTask<TxnResult> TxnAsync(TxnRequest request)
    {
        OperationBuffer buffer = new();
        ReadOnlyMemory<byte> key = Transactions.Encode(request, buffer, _limits);
        AwaitedOperation txn = new() { Kind = OperationKind.Write, Key = key, Command = buffer.Memory, LeaderOnly = request.LeaderOnly };
        await txn.RunAsync(node);
        buffer.Clear();
        return Transactions.Decode(txn, request, node);
    }

    private ValueTask<NodeStatus> StatusAsync() => ValueTask.FromResult(StatusReport.Of(node));

    private void CheckRule(AccessRule rule)
    {
        switch (rule)
        {
            case AccessRule.Open:

            // Behind it the guard looks at each key.
            case AccessRule.Keys:
                break;
            case AccessRule.Known:
                CheckKnown();
                break;
            default:
                throw new HengeException(ErrorCode.PermissionDenied, "Nobody may call this: it has no rule that this door knows.");
        }
    }

    // For what is of no key, so that no check of keys comes behind it.
    private void CheckKnown()
    {
        if (services.Logins is { } logins && !caller.IsNode)
        {
            AccessView view = logins.Access.Access;
            if (AccessCheck.CheckKnown(view, caller.UserIn(view)) is { } problem)
            {
                throw problem;
            }
        }
    }
}

using System.Security.Cryptography;
using Grpc.Core;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Protocol.V1;
using Henge.Server.Access;
using Henge.Server.Calls;
using Henge.Server.Events;
using Microsoft.Extensions.Logging;
using AccessChange = Henge.Node.Access.AccessChange;
using Kind = Henge.Protocol.V1.AccessChangeRequest.Types.Kind;

namespace Henge.Server.Cluster;

/// <summary><c>henge.v1.Access</c>: users, roles, and who may do what. Thread-safe.</summary>
internal sealed class AccessService(IHengeNode node, Logins logins, CallGate gate, ILogger logger) : Protocol.V1.Access.AccessBase
{
    /// <summary>The service's name.</summary>
    public const string Name = "henge.v1.Access";

    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);

    /// <summary>The service's methods.</summary>
    public ServerServiceDefinition Define()
    {
        ServiceMethods methods = new(Name, new ErrorInterceptor(gate.Errors));
        Protocol.V1.Access.BindService(methods, this);
        return methods.Build();
    }

    /// <inheritdoc/>
    public override async Task<AccessChangeResponse> Change(AccessChangeRequest request, ServerCallContext context)
    {
        AccessView view = logins.Access.Access;
        string? user = UserOf(context, view);
        bool isOwnPassword = request.Kind == Kind.SetPassword && user is not null && user == request.Name;
        if (view.IsEnabled && (isOwnPassword ? AccessCheck.CheckKnown(view, user) : AccessCheck.CheckAdmin(view, user)) is { } problem)
        {
            logins.TellRefused(user, request.Kind.ToString(), request.Name, problem.Code);
            throw problem;
        }

        if (request.Kind == Kind.AddUser && await IsThereAsync(request, view))
        {
            // Asked again, since the answer was lost: its hash would be another one each time.
            return new AccessChangeResponse();
        }

        AccessChange change = await ReadAsync(request);
        CallTerms terms = CallTerms.Of(context);
        long deadlineMs = terms.HasDeadline ? terms.DeadlineMs : node.MonotonicMs + (long)Longest.TotalMilliseconds;
        await logins.ChangeAsync(user, change, deadlineMs, terms.Cancellation);
        return new AccessChangeResponse();
    }

    /// <inheritdoc/>
    public override Task<AccessReadResponse> Read(AccessReadRequest request, ServerCallContext context)
    {
        AccessView view = logins.Access.Access;
        string? user = UserOf(context, view);
        if (view.IsEnabled && AccessCheck.CheckKnown(view, user) is { } problem)
        {
            throw problem;
        }

        bool isComplete = !view.IsEnabled || AccessCheck.CheckAdmin(view, user) is null;
        AccessReadResponse response = new()
        {
            Enabled = view.IsEnabled,
            Revision = view.Revision.Value,
            You = user ?? "",
            Complete = isComplete,
        };
        UserRecord[] users = [.. view.Users.Where(u => isComplete || u.Name == user)];
        response.Users.AddRange(users.Select(static u =>
        {
            AccessUser shown = new() { Name = u.Name, HasPassword = u.PasswordHash.Length > 0 };
            shown.Roles.AddRange(u.Roles);
            return shown;
        }));
        response.Roles.AddRange(view.Roles.Where(r => isComplete || users.Any(u => u.Roles.Contains(r.Name))).Select(static r =>
        {
            AccessRole shown = new() { Name = r.Name };
            shown.Grants.AddRange(r.Grants.Select(ToMessage));
            return shown;
        }));
        return Task.FromResult(response);
    }

    /// <inheritdoc/>
    public override Task<CreateTokenResponse> CreateToken(CreateTokenRequest request, ServerCallContext context)
    {
        AccessView view = logins.Access.Access;
        if (!view.IsEnabled)
        {
            // Anybody could make one of root now, and have it after access is checked.
            throw new HengeException(
                ErrorCode.InvalidArgument,
                "Access is not checked, and nobody needs a token. Say henge auth enable first.");
        }

        string? caller = UserOf(context, view);
        string user = request.User.Length > 0 ? request.User : caller ?? "";
        if (user.Length == 0)
        {
            throw new HengeException(ErrorCode.InvalidArgument, "Say for which user the token is to be.");
        }

        if ((user == caller ? AccessCheck.CheckKnown(view, caller) : AccessCheck.CheckAdmin(view, caller)) is { } problem)
        {
            throw problem;
        }

        if (user == AccessNames.Node)
        {
            throw new HengeException(ErrorCode.InvalidArgument, "Nodes have certificates, and no tokens.");
        }

        double lifetimeMs = request.TtlMs == 0 ? TimeSpan.FromHours(1).TotalMilliseconds : request.TtlMs;
        (string token, DateTimeOffset expires) = logins.Tokens.Create(
            user,
            TimeSpan.FromMilliseconds(Math.Min(lifetimeMs, Tokens.Longest.TotalMilliseconds + 1)));
        ServerEvents.Access.TokenGiven(logger, caller ?? "nobody", user, expires);
        return Task.FromResult(new CreateTokenResponse { Token = token, ExpiresAtUnixMs = expires.ToUnixTimeMilliseconds() });
    }

    private async Task<bool> IsThereAsync(AccessChangeRequest request, AccessView view) =>
        view.User(request.Name) is { Roles.Count: 0 } user
        && (request.Password.Length == 0
            ? user.PasswordHash.Length == 0
            : user.PasswordHash.Length > 0 && await logins.IsRightAsync(user.PasswordHash, request.Password));

    private static string? UserOf(ServerCallContext context, AccessView view) =>
        context.GetHttpContext().Features.Get<Caller>()?.UserIn(view);

    private static AccessGrant ToMessage(Grant grant) => new()
    {
        Read = (grant.Permissions & Permissions.Read) != 0,
        Write = (grant.Permissions & Permissions.Write) != 0,
        Watch = (grant.Permissions & Permissions.Watch) != 0,
        Admin = (grant.Permissions & Permissions.Admin) != 0,
        Start = Google.Protobuf.ByteString.CopyFrom(grant.Range.Start.Span),
        End = Google.Protobuf.ByteString.CopyFrom(grant.Range.End.Span),
    };

    private async Task<AccessChange> ReadAsync(AccessChangeRequest request)
    {
        if (request.Kind is Kind.None || !Enum.IsDefined(request.Kind))
        {
            throw new HengeException(ErrorCode.InvalidArgument, "There is no such change. Is the command line newer than the node?");
        }

        bool hasPassword = request.Kind is Kind.AddUser or Kind.SetPassword && request.Password.Length > 0;
        AccessGrant grant = request.Grant ?? new AccessGrant();
        return new AccessChange
        {
            Kind = (AccessChangeKind)request.Kind,
            Name = request.Name,
            Role = request.Role,
            PasswordHash = hasPassword ? await logins.HashAsync(request.Password) : "",
            Permissions = (grant.Read ? Permissions.Read : 0) | (grant.Write ? Permissions.Write : 0)
                | (grant.Watch ? Permissions.Watch : 0) | (grant.Admin ? Permissions.Admin : 0),
            Range = KeyRange.Between(grant.Start.Memory, grant.End.Memory),
            SigningKey = request.Kind is Kind.Enable or Kind.RotateKey ? RandomNumberGenerator.GetBytes(32) : default,
        };
    }
}

using System.Net;
using Henge.Core;
using Henge.Node.Access;
using Henge.Server.Access;
using Henge.Server.Calls;
using Henge.Server.Http;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Http;

namespace Henge.Server.Hosting;

/// <summary>
/// What every HTTP request and gRPC call passes first, once access is checked: who asks, by ASP.NET Core's authentication, and whether its
/// endpoint is for such. Costs one look while access is not checked. Thread-safe.
/// </summary>
internal sealed class Authentication(Logins logins, CallGate gate, bool isBehindTls)
{
    private static readonly string[] Schemes = ["Basic realm=\"henge\", charset=\"UTF-8\"", "Bearer"];

    /// <summary>Lets a request go on, or answers it.</summary>
    public Task PassAsync(HttpContext context, RequestDelegate next) =>
        logins.IsNeeded ? CheckAsync(context, next) : next(context);

    private async Task CheckAsync(HttpContext context, RequestDelegate next)
    {
        AccessRule? rule = context.GetEndpoint()?.Metadata.GetMetadata<AccessRuleOf>()?.Rule;
        if (rule == AccessRule.Open || context.GetEndpoint() is null)
        {
            // What is nowhere is nowhere for everybody.
            await next(context);
            return;
        }

        if (!CallGate.IsCall(context))
        {
            context.Response.OnStarting(SayHow, context.Response);
        }

        AuthenticateResult result = await context.AuthenticateAsync(CallerHandler.Name);
        HengeException? problem = result.Failure is { } failure
            ? failure as HengeException ?? new HengeException(ErrorCode.Unauthenticated, "Who calls could not be made sure of.")
            : Judge(rule, context.Features.Get<Caller>() ?? new Caller());
        if (problem is not null && rule == AccessRule.Admin)
        {
            IPEndPoint? from = context.Connection.RemoteIpAddress is { } address ? new(address, context.Connection.RemotePort) : null;
            string? user = context.Features.Get<Caller>()?.UserIn(logins.Access.Access);
            logins.TellCallRefused(user, context.Request.Path, from?.ToString() ?? "", problem.Code);
        }

        if (problem is null)
        {
            context.User = result.Principal ?? context.User;
            await next(context);
        }
        else if (CallGate.IsCall(context))
        {
            gate.Refuse(context, CallErrors.Create(problem.Code, problem.Message));
        }
        else
        {
            await HttpDoor.AnswerAsync(context, HttpDoor.ToHttpStatus(problem.Code), problem.Message);
        }
    }

    // RFC 9110, section 11.6.1: an answer 401 says by what one may identify oneself.
    private static Task SayHow(object answer)
    {
        var response = (HttpResponse)answer;
        if (response.StatusCode == StatusCodes.Status401Unauthorized)
        {
            response.Headers.WWWAuthenticate = Schemes;
        }

        return Task.CompletedTask;
    }

    private HengeException? Judge(AccessRule? rule, Caller caller)
    {
        AccessView view = logins.Access.Access;
        return rule switch
        {
            // Behind it each key is looked at.
            AccessRule.Keys or AccessRule.Own => null,
            AccessRule.Known => caller.IsNode ? null : AccessCheck.CheckKnown(view, caller.UserIn(view)),
            AccessRule.Admin => AccessCheck.CheckAdmin(view, caller.UserIn(view)),

            // Without TLS a node has nothing to be known by before it has joined.
            AccessRule.Join when !isBehindTls => null,
            AccessRule.Join or AccessRule.Node => caller.IsNode
                ? null
                : new HengeException(
                    ErrorCode.PermissionDenied,
                    "This call is for nodes of the cluster, and who calls has shown no node's certificate. A node that joins is started "
                        + "with --tls-cert, --tls-key and --tls-ca, by a certificate from: henge cert create-node HOST. The node that "
                        + "it joins needs --tls-ca too."),
            _ => new HengeException(ErrorCode.PermissionDenied, "Nobody may call this: it has no rule."),
        };
    }
}

/// <summary>The rule of an endpoint, as its metadata.</summary>
/// <param name="Rule">The rule.</param>
internal sealed record AccessRuleOf(AccessRule Rule);

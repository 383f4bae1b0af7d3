using System.Net;
using System.Security.Cryptography;
using Google.Protobuf;
using Grpc.Core;
using Henge.Protocol.V1;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Henge.Server.Tests.Access;

/// <summary>Tokens of an OpenID Connect provider, which the test is itself.</summary>
public sealed class ExternalIssuerTests : IAsyncLifetime
{
    private readonly RSA _key = RSA.Create(2048), _other = RSA.Create(2048);
    private WebApplication _provider = null!;
    private GuardedHost _host = null!;
    private string _issuer = "";

    public async ValueTask InitializeAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _provider = builder.Build();
        _provider.MapGet("/.well-known/openid-configuration", () => Results.Json(new
        {
            issuer = _issuer,
            jwks_uri = _issuer + "/keys",
        }));
        RSAParameters key = _key.ExportParameters(includePrivateParameters: false);
        _provider.MapGet("/keys", () => Results.Json(new
        {
            keys = new[]
            {
                new
                {
                    kty = "RSA", use = "sig", kid = "k1", alg = "RS256",
                    n = Base64UrlEncoder.Encode(key.Modulus), e = Base64UrlEncoder.Encode(key.Exponent),
                },
            },
        }));
        await _provider.StartAsync();
        _issuer = _provider.Urls.First();
        _host = await GuardedHost.StartAsync(o => o with
        {
            OidcAuthority = _issuer,
            OidcAudience = "henge-test",
            OidcUserClaim = "preferred_username",
        });
    }

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        await _provider.DisposeAsync();
        _key.Dispose();
        _other.Dispose();
    }

    [Fact]
    public async Task A_user_of_the_cluster_is_let_in_by_the_providers_word_and_has_its_roles_here()
    {
        Assert.Equal(StatusCode.OK, await PutAsync("a/1", Token("ann")));
        Assert.Equal(StatusCode.PermissionDenied, await PutAsync("b/1", Token("ann")));
        Assert.Equal(StatusCode.PermissionDenied, await PutAsync("a/1", Token("bob")));
        using HttpResponseMessage rest = await _host.HttpAsync(HttpMethod.Get, "/v1/kv/a%2F1", GuardedHost.Bearer(Token("ann")));
        Assert.Equal(HttpStatusCode.OK, rest.StatusCode);
    }

    [Fact]
    public async Task Nobody_is_let_in_by_what_is_no_good_token_or_of_somebody_who_is_not_here()
    {
        string[] tokens =
        [
            Token("ann", audience: "another"),
            Token("ann", issuer: "https://another.example"),
            Token("ann", expires: DateTime.UtcNow.AddHours(-1)),
            Token("ann", key: _other),
            Token("root"),
            Token("node"),
            Token("a b"),
            Token(""),
        ];
        foreach (string token in tokens)
        {
            Assert.Equal(StatusCode.Unauthenticated, await PutAsync("a/1", token));
        }

        Assert.Equal(StatusCode.PermissionDenied, await PutAsync("a/1", Token("stranger")));
    }

    private string Token(string user, string? issuer = null, string audience = "henge-test", DateTime? expires = null, RSA? key = null)
    {
        DateTime end = expires ?? DateTime.UtcNow.AddMinutes(5);
        return new JsonWebTokenHandler().CreateToken(new SecurityTokenDescriptor
        {
            Issuer = issuer ?? _issuer,
            Audience = audience,
            NotBefore = end.AddHours(-2),
            IssuedAt = end.AddHours(-2),
            Expires = end,
            Claims = new Dictionary<string, object> { ["sub"] = "123", ["preferred_username"] = user },
            SigningCredentials = new SigningCredentials(
                new RsaSecurityKey(key ?? _key)
                {
                    KeyId = "k1",
                    CryptoProviderFactory = new CryptoProviderFactory { CacheSignatureProviders = false },
                },
                SecurityAlgorithms.RsaSha256),
        });
    }

    private async Task<StatusCode> PutAsync(string key, string token)
    {
        try
        {
            await _host.Keys.PutAsync(new PutRequest { Key = ByteString.CopyFromUtf8(key) }, GuardedHost.Bearer(token));
            return StatusCode.OK;
        }
        catch (RpcException e)
        {
            return e.StatusCode;
        }
    }
}

using Henge.Server.Tests.Access;

namespace Henge.Server.Tests.Hostile;

/// <summary>One node for all tests of a class, which does not ask who is there.</summary>
public sealed class OpenHost : IAsyncLifetime
{
    internal GuardedHost Host { get; private set; } = null!;

    public async ValueTask InitializeAsync() => Host = await GuardedHost.StartAsync(enable: false);

    public async ValueTask DisposeAsync() => await Host.DisposeAsync();
}

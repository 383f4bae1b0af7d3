using Henge.Client;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registers the client with a container.</summary>
public static class HengeServiceCollectionExtensions
{
    /// <summary>Adds one <see cref="HengeClient"/> for the whole application; the container disposes of it.</summary>
    /// <param name="services">The container under construction.</param>
    /// <param name="configure">Sets the options; runs when the client is first asked for.</param>
    public static IServiceCollection AddHengeClient(this IServiceCollection services, Action<HengeClientOptions>? configure = null) =>
        services.AddSingleton(_ =>
        {
            HengeClientOptions options = new();
            configure?.Invoke(options);
            return new HengeClient(options);
        });

    /// <summary>
    /// Adds one <see cref="HengeClient"/> for the whole application that begins with these nodes; the container disposes of it.
    /// </summary>
    public static IServiceCollection AddHengeClient(this IServiceCollection services, params string[] peers) =>
        services.AddHengeClient(options => options.Peers = peers);
}

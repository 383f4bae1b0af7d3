using System.Reflection;

namespace Henge.Server.Operations;

/// <summary>What this build is.</summary>
internal static class Product
{
    /// <summary>Its version.</summary>
    public static string Version { get; } =
        typeof(Product).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";
}

using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Henge.Server.Hosting;

/// <summary>
/// The node's state as ASP.NET Core's health checks ask for it: one state for the server and all its services. Thread-safe.
/// </summary>
internal sealed class NodeHealthCheck(HealthState state) : IHealthCheck
{
    /// <inheritdoc/>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(state.Problem is { } problem ? HealthCheckResult.Unhealthy(problem) : HealthCheckResult.Healthy());
}

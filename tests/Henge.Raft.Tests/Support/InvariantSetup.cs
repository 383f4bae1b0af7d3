using System.Runtime.CompilerServices;
using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>A broken invariant, as a finding instead of the end of the process.</summary>
public sealed class InvariantBrokenException(string message) : Exception(message);

internal static class InvariantSetup
{
    [ModuleInitializer]
    public static void Install() => Invariant.Failed = static message => throw new InvariantBrokenException(message);
}

using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Storage;

namespace Henge.Server.Operations;

/// <summary>Reads and writes of one key, for doors that do one thing after another. Each throws <see cref="HengeException"/>.</summary>
internal static class KeyOperations
{
    /// <summary>The value of a key; null: it is not there.</summary>
    /// <param name="node">The node.</param>
    /// <param name="key">The key, checked.</param>
    /// <param name="version">The version to read at; zero: now.</param>
    /// <param name="consistency">How the read is made sure of.</param>
    public static async ValueTask<StoredValue?> GetAsync(
        IHengeNode node, ReadOnlyMemory<byte> key, Core.Version version = default, ReadConsistency consistency = ReadConsistency.Default)
    {
        AwaitedOperation get = new() { Kind = OperationKind.Get, Key = key, ReadVersion = version, Consistency = consistency };
        await get.RunAsync(node);
        if (!node.TryRead(get, out PinnedValue value))
        {
            return null;
        }

        using (value)
        {
            return new StoredValue(value.Span.ToArray(), value.Version, value.ExpiresAtMs, value.Type);
        }
    }

    /// <summary>The version that a key is at now; zero: it does not exist.</summary>
    public static async ValueTask<Core.Version> CurrentAsync(IHengeNode node, ReadOnlyMemory<byte> key)
    {
        AwaitedOperation get = new() { Kind = OperationKind.Get, Key = key, Consistency = ReadConsistency.Linearizable };
        await get.RunAsync(node);
        if (!node.TryRead(get, out PinnedValue value))
        {
            return default;
        }

        using (value)
        {
            return value.Version;
        }
    }

    /// <summary>Runs an encoded command; what came of it, which is no failure.</summary>
    public static async ValueTask<CommandResult> WriteAsync(IHengeNode node, ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> command)
    {
        AwaitedOperation write = new() { Kind = OperationKind.Write, Key = key, Command = command };
        await write.RunAsync(node);
        CommandResult result = CommandResult.Of(write, out _);
        return result.Status == CommandStatus.Failed ? throw new HengeException(result.Error, result.ErrorMessage!) : result;
    }
}

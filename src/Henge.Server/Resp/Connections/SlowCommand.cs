using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Connections;

/// <summary>Runs alone, between batches, because it takes several steps.</summary>
internal sealed class SlowCommand(string name, int arity, SlowCommand.Handler handler) : RespCommand(name, arity)
{
    public delegate ValueTask Handler(RespConnection connection, RespArguments arguments, RespWriter writer);

    /// <summary>Writes the reply of a walk over the keys as of a version, up to which the node has everything.</summary>
    public delegate ValueTask WalkHandler(RespConnection connection, RespArguments arguments, RespWriter writer, Core.Version version);

    /// <inheritdoc/>
    public override bool Writes => Changes;

    /// <summary>True when it changes data.</summary>
    public bool Changes { get; init; }

    /// <summary>For commands that walk over the keys, which may stand inside a transaction; null for others, which may not.</summary>
    public WalkHandler? Walk { get; init; }

    public ValueTask RunAsync(RespConnection connection, RespArguments arguments, RespWriter writer) =>
        handler(connection, arguments, writer);
}

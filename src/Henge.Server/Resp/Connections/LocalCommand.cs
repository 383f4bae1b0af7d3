using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Connections;

/// <summary>Answered at once, from the connection alone.</summary>
internal sealed class LocalCommand(string name, int arity, LocalCommand.Handler handler) : RespCommand(name, arity)
{
    public delegate void Handler(RespConnection connection, RespArguments arguments, RespWriter writer);

    /// <summary>What is done already when the command is planned, before those behind it are.</summary>
    public Action<RespConnection, RespArguments>? Ahead { get; init; }

    public void Run(RespConnection connection, RespArguments arguments, RespWriter writer) => handler(connection, arguments, writer);
}

using Henge.Server.Resp.Connections;

namespace Henge.Server.Resp.Commands;

/// <summary>All commands of the RESP door.</summary>
internal static class RespCommands
{
    /// <summary>The table of them, which connections are given.</summary>
    public static RespCommandTable Table { get; } = new(
    [
        .. StringCommands.All,
        .. HashCommands.All,
        .. RangeCommands.All,
        .. MoveCommands.All,
        .. ScriptCommands.All,
        .. ServerCommands.All,
        .. ClusterCommands.All,
        .. KeyCommands.All,
        .. KeySpaceCommands.All,
        .. ChannelCommands.All,
        .. ConnectionCommands.All,
    ]);
}

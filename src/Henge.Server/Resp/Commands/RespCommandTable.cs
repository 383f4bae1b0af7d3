using System.Collections.Frozen;
using System.Text;

namespace Henge.Server.Resp.Commands;

/// <summary>All commands by name, found in any case without allocating.</summary>
internal static class RespCommandTable
{
    private const int LongestName = 32;
    private static readonly FrozenDictionary<string, RespCommand> ByName = (
        (IEnumerable<RespCommand>)
            [
                .. StringCommands.All,
                .. HashCommands.All,
                .. RangeCommands.All,
                .. MoveCommands.All,
                .. ScriptCommands.All,
                .. ServerCommands.All,
                .. KeyCommands.All,
                .. KeySpaceCommands.All,
                .. ChannelCommands.All,
                .. ConnectionCommands.All,
            ]
    ).ToFrozenDictionary(c => c.Name, StringComparer.Ordinal);
    private static readonly FrozenDictionary<string, RespCommand>.AlternateLookup<ReadOnlySpan<char>> BySpan = ByName.GetAlternateLookup<
        ReadOnlySpan<char>
    >();
    private static readonly RespCommand Get = ByName["get"],
        Set = ByName["set"];

    /// <summary>All of them, by name.</summary>
    public static IReadOnlyList<RespCommand> All { get; } = Number([.. ByName.Values.OrderBy(c => c.Name, StringComparer.Ordinal)]);

    private static RespCommand[] Number(RespCommand[] all)
    {
        for (int i = 0; i < all.Length; i++)
        {
            all[i].Index = i;
        }

        return all;
    }

    /// <summary>The command of a name; null when there is none.</summary>
    public static RespCommand? Find(ReadOnlySpan<byte> name)
    {
        if (name.Length == 3)
        {
            // The two that a busy connection sends all day.
            uint word = (uint)((name[0] | 0x20) | ((name[1] | 0x20) << 8) | ((name[2] | 0x20) << 16));
            if (word == ('g' | ('e' << 8) | ('t' << 16)))
            {
                return Get;
            }

            if (word == ('s' | ('e' << 8) | ('t' << 16)))
            {
                return Set;
            }
        }

        if (name.Length > LongestName)
        {
            return null;
        }

        Span<char> lower = stackalloc char[LongestName];
        return
            Ascii.ToLower(name, lower, out int length) == System.Buffers.OperationStatus.Done
            && BySpan.TryGetValue(lower[..length], out RespCommand? command)
            ? command
            : null;
    }
}

using System.Collections.Frozen;
using System.Text;

namespace Henge.Server.Resp.Connections;

/// <summary>Commands by name, found in any case without allocating. Which there are is the matter of the room above. Immutable.</summary>
internal sealed class RespCommandTable
{
    private const int LongestName = 32;
    private readonly FrozenDictionary<string, RespCommand>.AlternateLookup<ReadOnlySpan<char>> _bySpan;
    private readonly RespCommand? _get, _set;

    /// <param name="commands">The commands, no two of a name. Each is numbered by this table, so it may be in no other.</param>
    public RespCommandTable(IEnumerable<RespCommand> commands)
    {
        FrozenDictionary<string, RespCommand> byName = commands.ToFrozenDictionary(c => c.Name, StringComparer.Ordinal);
        _bySpan = byName.GetAlternateLookup<ReadOnlySpan<char>>();
        (_get, _set) = (byName.GetValueOrDefault("get"), byName.GetValueOrDefault("set"));
        All = Number([.. byName.Values.OrderBy(c => c.Name, StringComparer.Ordinal)]);
    }

    /// <summary>All of them, by name.</summary>
    public IReadOnlyList<RespCommand> All { get; }

    /// <summary>The command of a name; null when there is none.</summary>
    public RespCommand? Find(ReadOnlySpan<byte> name)
    {
        if (name.Length == 3)
        {
            // The two that a busy connection sends all day.
            uint word = (uint)((name[0] | 0x20) | ((name[1] | 0x20) << 8) | ((name[2] | 0x20) << 16));
            if (word == ('g' | ('e' << 8) | ('t' << 16)))
            {
                return _get;
            }

            if (word == ('s' | ('e' << 8) | ('t' << 16)))
            {
                return _set;
            }
        }

        if (name.Length > LongestName)
        {
            return null;
        }

        Span<char> lower = stackalloc char[LongestName];
        return
            Ascii.ToLower(name, lower, out int length) == System.Buffers.OperationStatus.Done
            && _bySpan.TryGetValue(lower[..length], out RespCommand? command)
            ? command
            : null;
    }

    private static RespCommand[] Number(RespCommand[] all)
    {
        for (int i = 0; i < all.Length; i++)
        {
            all[i].Index = i;
        }

        return all;
    }
}

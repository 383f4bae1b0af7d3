using Henge.Storage.Lsm.Levels;

namespace Henge.Storage.Lsm.Compactions;

/// <summary>
/// Whether anything of a key can lie below a level. Asked with rising prefixes, it walks each level along and never searches.
/// </summary>
internal sealed class LowerLevelCheck(LevelSet levels, int level)
{
    private readonly int[] _at = new int[LevelSet.LevelCount];

    public bool IsClear(ReadOnlySpan<byte> prefix)
    {
        for (int below = level + 1; below < LevelSet.LevelCount; below++)
        {
            TableHandle[] tables = levels.Levels[below];
            ref int at = ref _at[below];
            while (at < tables.Length && tables[at].Meta.LargestPrefix.SequenceCompareTo(prefix) < 0)
            {
                at++;
            }

            if (at < tables.Length && tables[at].Meta.SmallestPrefix.SequenceCompareTo(prefix) <= 0)
            {
                return false;
            }
        }

        return true;
    }
}

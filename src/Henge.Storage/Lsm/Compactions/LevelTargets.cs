using Henge.Storage.Lsm.Levels;
using Henge.Storage.Lsm.Settings;

namespace Henge.Storage.Lsm.Compactions;

/// <summary>
/// How many bytes each level should hold. Sizes are set from the bottom up: the last level is as large as its data, each one above it a
/// tenth of it, and the levels that would be smaller than the base are left empty; L0 goes straight to <see cref="BaseLevel"/>. So nine
/// tenths of the data lie in the last level whatever the size of the whole (Dong et al., "Optimizing Space Amplification in RocksDB", CIDR
/// 2017).
/// </summary>
internal sealed class LevelTargets
{
    private readonly long[] _targets = new long[LevelSet.LevelCount];

    public LevelTargets(LevelSet levels, LsmOptions options)
    {
        int last = LevelSet.LevelCount - 1;
        long largest = 0;
        int firstUsed = last;
        for (int level = last; level >= 1; level--)
        {
            long bytes = levels.BytesOf(level);
            largest = Math.Max(largest, bytes);
            if (bytes > 0)
            {
                firstUsed = level;
            }
        }

        // The level that L0 goes to holds between a tenth of the base and the base.
        double size = largest;
        int baseLevel = last;
        while (baseLevel > 1 && size > options.LevelBaseBytes)
        {
            size /= options.LevelMultiplier;
            baseLevel--;
        }

        BaseLevel = Math.Min(baseLevel, firstUsed);
        size = Math.Min(Math.Max(size, 1), options.LevelBaseBytes);
        for (int level = 1; level <= last; level++)
        {
            // A level above the base that still holds data (the store has shrunk) is emptied.
            _targets[level] = level < baseLevel ? 0
                : Math.Max((long)(size * Math.Pow(options.LevelMultiplier, level - baseLevel)), options.LevelBaseBytes);
        }
    }

    /// <summary>The level that L0 is compacted to.</summary>
    public int BaseLevel { get; }

    public long this[int level] => _targets[level];
}

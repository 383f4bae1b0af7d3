using Henge.Storage.Lsm.Levels;

namespace Henge.Storage.Lsm.Compactions;

/// <summary>
/// Tables whose compaction failed because something in them is damaged. They are left out until one of them is gone, or a drop takes a part
/// of it away, which may be the damaged one. Thread-safe.
/// </summary>
internal sealed class DamagedTables
{
    private readonly Lock _lock = new();
    private readonly HashSet<ulong> _numbers = [];
    private ulong _lastDrop;

    public void Add(Compaction compaction, LevelSet levels)
    {
        lock (_lock)
        {
            _numbers.UnionWith(compaction.AllInputs.Select(static table => table.Meta.Number));
            _lastDrop = levels.Drops.Length > 0 ? levels.Drops[^1].Epoch : 0;
        }
    }

    /// <summary>Gives all of them another chance when one is gone or was touched by a drop since; true if so.</summary>
    public bool Forget(LevelSet levels)
    {
        lock (_lock)
        {
            if (_numbers.Count == 0)
            {
                return false;
            }

            TableHandle[] left = [.. levels.Levels.SelectMany(static level => level).Where(table => _numbers.Contains(table.Meta.Number))];
            bool changed =
                left.Length < _numbers.Count
                || left.Any(table => levels.Drops.Any(drop => drop.Epoch > _lastDrop && drop.Touches(table.Meta)));
            if (changed)
            {
                _numbers.Clear();
            }

            return changed;
        }
    }

    public bool Contains(TableHandle table)
    {
        lock (_lock)
        {
            return _numbers.Contains(table.Meta.Number);
        }
    }
}

using Henge.Core;
using Henge.Storage;

namespace Henge.Node.StateMachine;

/// <summary>Finds the newest that an engine holds of a key, a tombstone included.</summary>
internal static class NewestEntry
{
    /// <summary>
    /// The version of a key's newest entry; false when there is none, or none any more. Looks for a value first, which needs no iterator.
    /// </summary>
    /// <param name="engine">Where to look; what waits to be applied is not seen.</param>
    /// <param name="keyspace">The key's.</param>
    /// <param name="key">The key.</param>
    /// <param name="version">Its newest version.</param>
    /// <param name="isValue">False when that is a tombstone.</param>
    public static bool TryFind(IStorageEngine engine, uint keyspace, ReadOnlySpan<byte> key, out Core.Version version, out bool isValue)
    {
        var newest = new ReadPoint(Core.Version.Max, 0);
        isValue = engine.TryGet(keyspace, key, newest, out PinnedValue value);
        if (isValue)
        {
            version = value.Version;
            value.Dispose();
            return true;
        }

        var upper = new byte[key.Length + 1];
        key.CopyTo(upper);
        using EngineIterator entries = engine.CreateIterator(new IteratorOptions
        {
            Keyspace = keyspace,
            Point = newest,
            Lower = upper.AsMemory(0, key.Length),
            Upper = upper,
            AllVersions = true,
        });
        entries.SeekToFirst();
        version = entries.Valid ? entries.Version : default;
        return entries.Valid;
    }
}

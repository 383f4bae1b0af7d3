using System.IO.Hashing;
using Henge.Core;

namespace Henge.Node.Watch;

/// <summary>How a waiting cursor is found when something is published.</summary>
internal enum WaitKind : byte
{
    /// <summary>By each publication.</summary>
    Publication,
    /// <summary>By each event.</summary>
    Event,
    /// <summary>By the events of keys that begin with some bytes.</summary>
    Prefix,
    /// <summary>By the events of one key.</summary>
    Key,
}

/// <summary>
/// Cursors that wait, found by the keys of events: one lookup for the key, and one for each length of prefix that anybody waits for. So ten
/// thousand watches on other keys cost an event nothing. A cursor may be found for a key that is not its own (hashes collide, ranges are
/// wider than prefixes); it is never missed. Not thread-safe.
/// </summary>
internal sealed class WaitIndex
{
    private const int MaxPrefixLengths = 16;
    private readonly List<ShardCursor> _publications = [];
    private readonly List<ShardCursor> _events = [];
    private readonly Dictionary<ulong, List<ShardCursor>> _byHash = [];
    private readonly List<(int Length, int Count)> _prefixLengths = [];

    /// <summary>Adds a cursor.</summary>
    public void Add(ShardCursor cursor)
    {
        List<ShardCursor> list;
        switch (cursor.WaitKind)
        {
            case WaitKind.Publication:
                list = _publications;
                break;
            case WaitKind.Key:
                list = ListOf(cursor.WaitHash);
                break;
            case WaitKind.Prefix when TryCount(cursor.WaitPrefixLength):
                list = ListOf(cursor.WaitHash);
                break;
            default:
                list = _events;
                break;
        }

        cursor.WaitList = list;
        cursor.WaitAt = list.Count;
        list.Add(cursor);
    }

    /// <summary>Removes a cursor that is in.</summary>
    public void Remove(ShardCursor cursor)
    {
        List<ShardCursor> list = cursor.WaitList!;
        ShardCursor moved = list[^1];
        list[cursor.WaitAt] = moved;
        moved.WaitAt = cursor.WaitAt;
        list.RemoveAt(list.Count - 1);
        Forget(cursor, list);
        if (list.Count == 0 && list != _publications && list != _events)
        {
            _byHash.Remove(cursor.WaitHash);
        }
    }

    /// <summary>Moves those who may wait for a key into a list.</summary>
    public void TakeMatching(ReadOnlySpan<byte> key, List<ShardCursor> into)
    {
        if (_byHash.Count == 0)
        {
            return;
        }

        Take(HashOfKey(key), into);
        for (int i = _prefixLengths.Count - 1; i >= 0; i--)
        {
            // From the end, since taking the last one of a length removes it.
            if (_prefixLengths[i].Length <= key.Length)
            {
                Take(HashOfPrefix(key[.._prefixLengths[i].Length]), into);
            }
        }
    }

    /// <summary>Moves those who wait for any event into a list.</summary>
    public void TakeEvents(List<ShardCursor> into) => TakeAll(_events, into);

    /// <summary>Moves those who wait for any publication into a list.</summary>
    public void TakePublications(List<ShardCursor> into) => TakeAll(_publications, into);

    /// <summary>How a range is waited for.</summary>
    public static (WaitKind Kind, ulong Hash, int PrefixLength) Classify(in KeyRange range, bool everyPublication)
    {
        if (everyPublication)
        {
            return (WaitKind.Publication, 0, 0);
        }

        if (range.IsOneKey)
        {
            return (WaitKind.Key, HashOfKey(range.Start.Span), 0);
        }

        int common = range.CommonPrefixLength;
        return common == 0 ? (WaitKind.Event, 0, 0) : (WaitKind.Prefix, HashOfPrefix(range.Start.Span[..common]), common);
    }

    private static ulong HashOfKey(ReadOnlySpan<byte> key) => XxHash64.HashToUInt64(key, 1);

    private static ulong HashOfPrefix(ReadOnlySpan<byte> prefix) => XxHash64.HashToUInt64(prefix, 2);

    private List<ShardCursor> ListOf(ulong hash)
    {
        if (!_byHash.TryGetValue(hash, out List<ShardCursor>? list))
        {
            list = [];
            _byHash.Add(hash, list);
        }

        return list;
    }

    private bool TryCount(int length)
    {
        int at = _prefixLengths.FindIndex(l => l.Length == length);
        if (at >= 0)
        {
            _prefixLengths[at] = (length, _prefixLengths[at].Count + 1);
            return true;
        }

        if (_prefixLengths.Count == MaxPrefixLengths)
        {
            return false;
        }

        _prefixLengths.Add((length, 1));
        return true;
    }

    private void Take(ulong hash, List<ShardCursor> into)
    {
        if (_byHash.Remove(hash, out List<ShardCursor>? list))
        {
            TakeAll(list, into);
        }
    }

    private void TakeAll(List<ShardCursor> list, List<ShardCursor> into)
    {
        foreach (ShardCursor cursor in list)
        {
            Forget(cursor, list);
            into.Add(cursor);
        }

        list.Clear();
    }

    private void Forget(ShardCursor cursor, List<ShardCursor> list)
    {
        if (cursor.WaitKind == WaitKind.Prefix && list != _events)
        {
            int at = _prefixLengths.FindIndex(l => l.Length == cursor.WaitPrefixLength);
            if (_prefixLengths[at].Count == 1)
            {
                _prefixLengths.RemoveAt(at);
            }
            else
            {
                _prefixLengths[at] = (cursor.WaitPrefixLength, _prefixLengths[at].Count - 1);
            }
        }

        cursor.WaitList = null;
    }
}

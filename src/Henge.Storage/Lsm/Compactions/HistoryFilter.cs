using System.Buffers.Binary;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.Compactions;

/// <summary>
/// Drops the entries of a merge that no read can need any more. Moves forward only. Of each key it keeps all versions above the history
/// floor and the newest one at or below it; that one goes too when it is a tombstone (or has expired at the floor) and nothing of the key
/// lies below. Keyspaces with the highest bit set keep no history: their floor is always above everything.
/// </summary>
/// <param name="source">All entries, in order; not owned.</param>
/// <param name="floor">The history floor.</param>
/// <param name="nothingBelow">
/// Whether no older entry of a prefix can be anywhere below the output; called with rising prefixes only.
/// </param>
internal sealed class HistoryFilter(InternalIterator source, Core.Version floor, PrefixPredicate nothingBelow)
{
    private byte[] _prefix = new byte[64];
    private int _prefixLength;
    private byte[] _tombstone = [];
    private Core.Version _lastVersion;
    private bool _floorReached;
    private bool _isTombstone;

    public bool Valid { get; private set; }

    public ReadOnlySpan<byte> Key => _isTombstone ? _tombstone.AsSpan(0, source.Key.Length) : source.Key;

    public ReadOnlySpan<byte> Value => _isTombstone ? default : source.Value;

    /// <summary>True when the entry is of another key than the one before.</summary>
    public bool IsNewKey { get; private set; }

    /// <summary>Entries seen, kept or not.</summary>
    public long EntriesSeen { get; private set; }

    public void SeekToFirst()
    {
        source.SeekToFirst();
        _prefixLength = 0;
        IsNewKey = false;
        Find();
    }

    public void Next()
    {
        IsNewKey = false;
        source.Next();
        Find();
    }

    private void Find()
    {
        Valid = false;
        _isTombstone = false;
        for (; source.Valid; source.Next())
        {
            EntriesSeen++;
            ReadOnlySpan<byte> key = source.Key;
            ReadOnlySpan<byte> prefix = InternalKey.GetPrefix(key);
            Core.Version version = InternalKey.GetVersion(key);
            if (!prefix.SequenceEqual(_prefix.AsSpan(0, _prefixLength)))
            {
                SavePrefix(prefix);
                _floorReached = false;
                IsNewKey = true;
            }
            else if (version == _lastVersion)
            {
                // A copy: a log that was replayed, or a batch that came twice. The first in order counts, as it does for reads.
                continue;
            }

            _lastVersion = version;
            if (_floorReached)
            {
                continue;
            }

            bool systemKeyspace = (key[0] & 0x80) != 0;
            if (!systemKeyspace && version > floor)
            {
                Valid = true;
                return;
            }

            _floorReached = true;
            EntryKind kind = InternalKey.GetKind(key);
            bool expired = EntryHeader.IsIn(kind) && !systemKeyspace
                && !EntryHeader.IsAlive(BinaryPrimitives.ReadInt64LittleEndian(source.Value), floor.Milliseconds);
            if (kind == EntryKind.Delete || expired)
            {
                if (nothingBelow(prefix))
                {
                    continue;
                }

                if (expired)
                {
                    MakeTombstone(key);
                }
            }

            Valid = true;
            return;
        }
    }

    private void MakeTombstone(ReadOnlySpan<byte> key)
    {
        if (key.Length > _tombstone.Length)
        {
            _tombstone = new byte[key.Length * 2];
        }

        key.CopyTo(_tombstone);
        _tombstone[key.Length - 1] = (byte)EntryKind.Delete;
        _isTombstone = true;
    }

    private void SavePrefix(ReadOnlySpan<byte> prefix)
    {
        if (prefix.Length > _prefix.Length)
        {
            _prefix = new byte[prefix.Length * 2];
        }

        prefix.CopyTo(_prefix);
        _prefixLength = prefix.Length;
    }
}

/// <summary>A question about a prefix (keyspace and key).</summary>
internal delegate bool PrefixPredicate(ReadOnlySpan<byte> prefix);

using Henge.Core;
using Henge.Storage.Bitcask.Segments;
using Henge.Storage.Bitcask.Settings;
using Henge.Storage.Bitcask.State;
using Henge.Storage.Logs;
using Henge.Storage.Lsm.Buffers;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;
using Henge.Storage.Lsm.Manifests;
using Henge.Storage.Lsm.MemTables;
using Henge.Storage.Lsm.Tables;

namespace Henge.Storage.Bitcask;

/// <summary>
/// Builds the indexes of an engine that is opened, from hints where they are whole and from segments else. Not thread-safe.
/// </summary>
internal sealed unsafe class IndexBuilder(SegmentStore store, List<RangeDrop> drops, BitcaskOptions options) : IDisposable
{
    // What an entry takes beside its key: node, links, locator, and what point reads need.
    private const int BytesPerEntry = 84;
    private readonly RangeDrop[] _drops = [.. drops];
    private readonly Dictionary<uint, long> _expected = [];

    // Entries that are brought in together: the memory that each needs is then on its way while the others are seen to.
    private MemTableGroup* _group = AllocateGroup();
    private Dictionary<uint, KeyspaceIndex> _indexes = [];
    private byte[] _prefix = new byte[256];
    private uint _keyspace;
    private KeyspaceIndex? _index;
    private KeyspaceClocks.Clock? _clock;

    public KeyspaceClocks Clocks { get; } = new();

    /// <summary>Segments that could not be opened, and why.</summary>
    public List<(Segment Segment, HengeException Error)> Damaged { get; } = [];

    /// <summary>Reads through the hints once to see how large the indexes will be, so that none has to be made anew.</summary>
    public void Measure(SegmentManifest manifest)
    {
        foreach (ListedSegment listed in manifest.Segments)
        {
            using HintReader? hint = listed.End == 0 ? null : HintReader.Open(store, listed.Id, listed.End, salt: null);
            while (hint is not null && hint.Next(out HintEntry entry))
            {
                _expected[entry.Keyspace] = _expected.GetValueOrDefault(entry.Keyspace) + BytesPerEntry + entry.Key.Length;
            }
        }
    }

    /// <summary>Opens a sealed segment, and adds what it holds.</summary>
    public Segment Load(ListedSegment listed)
    {
        Segment segment = Open(listed, out HengeException? problem);
        try
        {
            segment.Epoch = listed.Epoch;
            segment.End = listed.End;
            segment.IsSealed = true;
            segment.HasHint = LoadHint(segment);
            if (problem is not null)
            {
                if (!segment.HasHint)
                {
                    throw new HengeException(problem.Code, problem.Message, problem);
                }

                options.Log?.Invoke($"A segment cannot be opened, and what lies in it is refused: {problem.Message}");
                Damaged.Add((segment, problem));
            }
            else if (!segment.HasHint)
            {
                segment.ResetCounts();
                SegmentScan.ReadSealed(segment, (in item, offset) => Add(segment, item, offset));
            }

            return segment;
        }
        catch
        {
            segment.File.Dispose();
            throw;
        }
    }

    /// <summary>Adds what the segment holds that was being written, with its positions. Says what was cut from its end.</summary>
    public string? LoadOpen(Segment segment, Dictionary<uint, ulong> positions)
    {
        string? cut = SegmentScan.ReadOpen(
            segment,
            (in item, offset) =>
            {
                if (item.IsPosition)
                {
                    positions[item.Keyspace] = item.Position;
                }
                else
                {
                    Add(segment, item, offset);
                }
            },
            out uint proven);
        SegmentScan.MakeDurable(segment, proven);
        return cut;
    }

    /// <summary>Hands the indexes over.</summary>
    public Dictionary<uint, KeyspaceIndex> TakeIndexes()
    {
        BringIn();
        Dictionary<uint, KeyspaceIndex> indexes = _indexes;
        _indexes = [];
        return indexes;
    }

    public void Dispose()
    {
        foreach (KeyspaceIndex index in _indexes.Values)
        {
            index.Table.Release();
        }

        _indexes = [];
        if (_group != null)
        {
            OffHeap.Free((byte*)_group, sizeof(MemTableGroup));
            _group = null;
        }
    }

    private static MemTableGroup* AllocateGroup()
    {
        var group = (MemTableGroup*)OffHeap.Allocate(sizeof(MemTableGroup));
        group->Nodes.Count = 0;
        return group;
    }

    private void BringIn()
    {
        if (_group->Nodes.Count > 0)
        {
            _index!.Table.AddGroup(_group);
        }
    }

    private Segment Open(ListedSegment listed, out HengeException? problem)
    {
        problem = null;
        Segment? segment = null;
        try
        {
            segment = store.Open(listed.Id, forWriting: false);
            if (segment.File.Length < listed.End)
            {
                throw SegmentStore.Damage(segment.File.Path, segment.File.Length, $"it ends there, and not at {listed.End}");
            }

            return segment;
        }
        catch (HengeException error) when (error.Code == ErrorCode.Corruption && options.OpenDamagedSegments)
        {
            segment?.File.Dispose();
            problem = error;
            using HintReader? hint = HintReader.Open(store, listed.Id, listed.End, salt: null);
            return new Segment(
                new UnreadableFile(store.PathOf(listed.Id), error),
                new LogSegmentHeader(listed.Id, hint?.Salt ?? 0, 0, 0));
        }
        catch
        {
            segment?.File.Dispose();
            throw;
        }
    }

    private bool LoadHint(Segment segment)
    {
        using HintReader? hint = HintReader.Open(store, segment.Id, segment.End, segment.Header.Salt);
        if (hint is null)
        {
            return false;
        }

        while (hint.Next(out HintEntry entry))
        {
            Add(segment, entry);
        }

        return hint.IsComplete;
    }

    private void Add(Segment segment, in StoredEntry item, uint offset)
    {
        if (!item.IsPosition)
        {
            Add(
                segment,
                new HintEntry
                {
                    Kind = item.Kind,
                    Keyspace = item.Keyspace,
                    Version = item.Version,
                    Key = item.Key,
                    Header = item.Header,
                    Offset = offset,
                    Length = item.Length,
                });
        }
    }

    private void Add(Segment segment, in HintEntry entry)
    {
        segment.Count(entry.Keyspace, entry.Length);
        int prefixLength = InternalKey.KeyspaceBytes + entry.Key.Length;
        if (_drops.Length > 0 && RangeDrop.AnyHides(_drops, segment.Epoch, Prefix(entry.Keyspace, entry.Key)))
        {
            return;
        }

        if (_index is null || _keyspace != entry.Keyspace)
        {
            BringIn();
            _keyspace = entry.Keyspace;
            _index = Find(entry.Keyspace);
            _clock = Clocks.Get(entry.Keyspace);
        }

        Span<byte> locator = stackalloc byte[Locator.MaxBytes];
        int length = Locator.Write(locator, prefixLength, entry.Kind, entry.Length, new EntryAddress(segment.Id, entry.Offset));
        _index.Table.Add(ref *_group, entry.Kind, entry.Keyspace, entry.Key, entry.Version, locator[..length], entry.Header);
        if (_group->IsFull)
        {
            BringIn();
        }

        _clock!.Raise(entry.Version);
    }

    private ReadOnlySpan<byte> Prefix(uint keyspace, ReadOnlySpan<byte> key)
    {
        int length = InternalKey.KeyspaceBytes + key.Length;
        if (_prefix.Length < length)
        {
            _prefix = new byte[length * 2];
        }

        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(_prefix, keyspace);
        key.CopyTo(_prefix.AsSpan(InternalKey.KeyspaceBytes));
        return _prefix.AsSpan(0, length);
    }

    private KeyspaceIndex Find(uint keyspace)
    {
        if (!_indexes.TryGetValue(keyspace, out KeyspaceIndex? index))
        {
            long capacity = Math.Max(KeyspaceIndex.SmallestBytes, _expected.GetValueOrDefault(keyspace));
            index = new KeyspaceIndex(new MemTable(capacity), capacity);
            _indexes.Add(keyspace, index);
        }

        return index;
    }
}

using System.Numerics;
using System.Runtime.CompilerServices;
using Henge.Storage.Lsm.Cache;
using Henge.Storage.Lsm.Keys;

namespace Henge.Storage.Lsm.MemTables;

/// <summary>
/// A skip list (Pugh, 1990) over an arena: nodes are linked in by compare-and-swap from the lowest level up (Fraser, 2004, §4.3, without
/// deletion), so that many threads add and any number reads without locks. Every second node of a level is in the next one: a search then
/// takes one step forward on a level, and the step that leads too far costs nothing, since hints tell (<see cref="SkipListNode"/>).
/// </summary>
internal sealed unsafe partial class SkipList
{
    /// <summary>Enough for 2^24 entries at full speed.</summary>
    public const int MaxHeight = 24;

    private const int SpliceSlots = 4;

    // The hint of a link that leads nowhere: after every key.
    private const ulong NoNode = ulong.MaxValue;
    private readonly Arena _arena;
    private readonly SkipListNode* _head;
    private readonly byte* _splices;
    private int _height = 1;

    /// <summary>Creates an empty list.</summary>
    public SkipList(Arena arena)
    {
        _arena = arena;
        _head = Allocate(0, 0, MaxHeight);
        *_head = new SkipListNode(0, 0);
        for (int level = 0; level < MaxHeight; level++)
        {
            SkipListNode.Link(_head, level) = 0;
            SkipListNode.Hint(_head, level) = NoNode;
        }

        _splices = OffHeap.AllocateAligned(sizeof(Splice) * SpliceSlots);
        for (int i = 0; i < SpliceSlots; i++)
        {
            ((Splice*)_splices)[i].Reset(_head);
        }
    }

    /// <summary>The node before the first.</summary>
    public SkipListNode* Head => _head;

    /// <summary>The first node, or null.</summary>
    public SkipListNode* First => SkipListNode.Next(_head, 0);

    private Splice* SharedSplice => (Splice*)_splices + (Environment.CurrentManagedThreadId & (SpliceSlots - 1));

    /// <summary>
    /// Takes memory for a node, to be filled in and given to <see cref="Insert(SkipListNode*, int, out bool)"/>. The number chooses the
    /// height.
    /// </summary>
    public SkipListNode* AllocateNode(int prefixLength, int valueLength, ulong number, out int height)
    {
        height = HeightOf(number);
        SkipListNode* node = Allocate(prefixLength, valueLength, height);
        *node = new SkipListNode(prefixLength, valueLength);
        return node;
    }

    private SkipListNode* Allocate(int prefixLength, int valueLength, int height)
    {
        int tower = height * SkipListNode.LinkBytes;
        int bytes = checked(tower + SkipListNode.HeaderBytes + prefixLength + InternalKey.TrailerBytes + valueLength);
        return (SkipListNode*)(_arena.Allocate(bytes) + tower);
    }

    /// <summary>
    /// Heights come from a mixed counter and not from a random number: the same writes give the same list, which keeps simulations
    /// repeatable.
    /// </summary>
    private static int HeightOf(ulong number)
    {
        // The finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
        ulong mixed = number * 0x9E3779B97F4A7C15;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        mixed ^= mixed >> 31;
        return Math.Min(1 + BitOperations.TrailingZeroCount(mixed), MaxHeight);
    }

    /// <summary>
    /// Links a node in; false, and nothing done, when its key, version and kind are there already. <paramref name="isNewest"/> tells that
    /// no entry of its key stood before it when it was linked in.
    /// </summary>
    [SkipLocalsInit]
    public bool Insert(SkipListNode* node, int height, out bool isNewest)
    {
        Raise(height);

        // Where the last insertion of (about) this thread ended is a good place to begin: sequential keys then cost one comparison.
        Splice* shared = SharedSplice;
        if (Interlocked.CompareExchange(ref shared->Busy, 1, 0) == 0)
        {
            bool inserted = Insert(node, height, shared, out isNewest);
            Volatile.Write(ref shared->Busy, 0);
            return inserted;
        }

        Unsafe.SkipInit(out Splice own);
        own.Reset(_head);
        return Insert(node, height, &own, out isNewest);
    }

    private void Raise(int height)
    {
        int current = Volatile.Read(ref _height);
        while (height > current)
        {
            int seen = Interlocked.CompareExchange(ref _height, height, current);
            if (seen == current)
            {
                break;
            }

            current = seen;
        }
    }

    private bool Insert(SkipListNode* node, int height, Splice* splice, out bool isNewest)
    {
        byte* key = SkipListNode.Key(node);
        int prefixLength = SkipListNode.PrefixLength(node);
        if (!splice->Brackets(0, _head, key, prefixLength))
        {
            FindSplice(key, prefixLength, splice);
        }

        return LinkIn(node, height, splice, out isNewest);
    }

    /// <summary>Links a node in where a splice says; the splice's nodes before the key must be so still, those after it need not.</summary>
    private static bool LinkIn(SkipListNode* node, int height, Splice* splice, out bool isNewest)
    {
        isNewest = false;
        byte* key = SkipListNode.Key(node);
        int prefixLength = SkipListNode.PrefixLength(node);
        for (int level = 0; level < height; level++)
        {
            while (true)
            {
                SkipListNode* before = (SkipListNode*)(nint)splice->Prev[level];
                SkipListNode* next = (SkipListNode*)(nint)splice->Next[level];
                ulong hint = NoNode;
                if (next != null)
                {
                    if (SkipListNode.Compare(next, key, prefixLength, out int sharedWithNext) == 0 && level == 0)
                    {
                        return false;
                    }

                    hint = SkipListNode.HintOf(SkipListNode.Key(next), SkipListNode.PrefixLength(next), sharedWithNext, 0);
                }

                SkipListNode.Hint(node, level) = hint;
                Volatile.Write(ref SkipListNode.Link(node, level), (nint)next);
                _ = SkipListNode.Compare(before, key, prefixLength, out int shared);

                // Before the link itself: from when a reader can find the new node, no hint may hide it.
                LowerHint(before, level, SkipListNode.HintOf(key, prefixLength, shared, 0));
                if (Interlocked.CompareExchange(ref SkipListNode.Link(before, level), (nint)node, (nint)next) == (nint)next)
                {
                    if (level == 0)
                    {
                        isNewest = shared < prefixLength || SkipListNode.PrefixLength(before) != prefixLength;
                    }

                    break;
                }

                // Another thread was here: look again from where we stood.
                FindAtLevel(key, prefixLength, before, level, splice);
            }
        }

        for (int level = 0; level < height; level++)
        {
            splice->Prev[level] = (nint)node;
        }

        return true;
    }

    private static void LowerHint(SkipListNode* node, int level, ulong hint)
    {
        ref ulong place = ref SkipListNode.Hint(node, level);
        ulong seen = Volatile.Read(ref place);
        while (seen > hint)
        {
            ulong now = Interlocked.CompareExchange(ref place, hint, seen);
            if (now == seen)
            {
                return;
            }

            seen = now;
        }
    }

    private void FindSplice(byte* key, int prefixLength, Splice* splice)
    {
        SkipListNode* before = _head;
        SkipListNode* next = null;
        ulong target = SkipListNode.HintOf(key, prefixLength, 0, ulong.MaxValue);
        for (int level = Volatile.Read(ref _height) - 1; level >= 0; level--)
        {
            next = Advance(ref before, next, ref target, key, prefixLength, level);
            splice->Prev[level] = (nint)before;
            splice->Next[level] = (nint)next;
        }
    }

    private static void FindAtLevel(byte* key, int prefixLength, SkipListNode* before, int level, Splice* splice)
    {
        SkipListNode* next = SkipListNode.Next(before, level);
        while (next != null && SkipListNode.Compare(next, key, prefixLength, out _) < 0)
        {
            before = next;
            next = SkipListNode.Next(next, level);
        }

        splice->Prev[level] = (nint)before;
        splice->Next[level] = (nint)next;
    }

    /// <summary>
    /// Goes forward on one level up to the last node before a key, and returns the node after that. <paramref name="bound"/> is a node that
    /// is known to be at or after the key; <paramref name="target"/> is the key's hint against <paramref name="before"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static SkipListNode* Advance(
        ref SkipListNode* before, SkipListNode* bound, ref ulong target, byte* key, int prefixLength, int level)
    {
        while (true)
        {
            // The link first: a hint that is read later speaks of this node or of a nearer one.
            SkipListNode* next = SkipListNode.Next(before, level);
            if (next == bound || next == null || Volatile.Read(ref SkipListNode.Hint(before, level)) > target
                || SkipListNode.Compare(next, key, prefixLength, out int common) >= 0)
            {
                return next;
            }

            before = next;
            target = SkipListNode.HintOf(key, prefixLength, common, ulong.MaxValue);
        }
    }

    /// <summary>The first node at or after an internal key (with 8 readable bytes after its prefix), or null.</summary>
    public SkipListNode* FindAtOrAfter(byte* key, int prefixLength)
    {
        SkipListNode* before = _head;
        SkipListNode* next = null;
        ulong target = SkipListNode.HintOf(key, prefixLength, 0, ulong.MaxValue);
        for (int level = Volatile.Read(ref _height) - 1; level >= 0; level--)
        {
            next = Advance(ref before, next, ref target, key, prefixLength, level);
        }

        return next;
    }

    /// <summary>
    /// The last node before an internal key at a level or above, or the head. At level 0 it is the neighbour; at a higher one a place
    /// a few nodes before it.
    /// </summary>
    public SkipListNode* FindBefore(byte* key, int prefixLength, int lowestLevel)
    {
        SkipListNode* before = _head;
        SkipListNode* next = null;
        ulong target = SkipListNode.HintOf(key, prefixLength, 0, ulong.MaxValue);
        for (int level = Math.Max(Volatile.Read(ref _height) - 1, lowestLevel); level >= lowestLevel; level--)
        {
            next = Advance(ref before, next, ref target, key, prefixLength, level);
        }

        return before;
    }

    /// <summary>The last node, or null.</summary>
    public SkipListNode* FindLast()
    {
        SkipListNode* last = _head;
        for (int level = Volatile.Read(ref _height) - 1; level >= 0; level--)
        {
            for (SkipListNode* next = SkipListNode.Next(last, level); next != null; next = SkipListNode.Next(last, level))
            {
                last = next;
            }
        }

        return last == _head ? null : last;
    }

    /// <summary>Gives back what is not in the arena.</summary>
    public void Free() => OffHeap.FreeAligned(_splices, sizeof(Splice) * SpliceSlots);

    /// <summary>
    /// Where a key belongs: at each level the node before it and the one after it. Each level's lies within the one above.
    /// </summary>
    internal struct Splice
    {
        public int Busy;
        public fixed long Prev[MaxHeight];
        public fixed long Next[MaxHeight];

        public void Reset(SkipListNode* head)
        {
            Busy = 0;
            for (int level = 0; level < MaxHeight; level++)
            {
                Prev[level] = (nint)head;
                Next[level] = 0;
            }
        }

        public readonly bool Brackets(int level, SkipListNode* head, byte* key, int prefixLength)
        {
            SkipListNode* before = (SkipListNode*)(nint)Prev[level];
            SkipListNode* after = (SkipListNode*)(nint)Next[level];

            // Neighbours still: others may have linked in any number of nodes between, which would all have to be walked over.
            return SkipListNode.Next(before, level) == after
                && (before == head || SkipListNode.Compare(before, key, prefixLength, out _) < 0)
                && (after == null || SkipListNode.Compare(after, key, prefixLength, out _) > 0);
        }
    }
}

using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Henge.Storage.Lsm.MemTables;

// Many nodes are linked in at a time: their searches go side by side, so that the cache misses of one pass while the others go on. One
// search is a chain of misses, each of which has to end before the next can begin (docs/decisions/0025).
internal sealed unsafe partial class SkipList
{
    /// <summary>Nodes of a group: about as many cache lines as a core fetches at a time.</summary>
    public const int GroupSize = 12;

    /// <summary>
    /// Links a group of nodes in, one after another, as <see cref="Insert(SkipListNode*, int, out bool)"/> would.
    /// False when searches side by side would not help: then nothing was done.
    /// </summary>
    public bool TryBeginGroup(Group* group)
    {
        if (group->Count < 2 || IsAtSplice(group->Node(0)))
        {
            return false;
        }

        int highest = 1;
        for (int i = 0; i < group->Count; i++)
        {
            highest = Math.Max(highest, group->Heights[i]);
        }

        Raise(highest);
        FindSplices(group);
        return true;
    }

    /// <summary>Links a node of a group in, for which <see cref="TryBeginGroup"/> gave true.</summary>
    public static bool Insert(Group* group, int index, out bool isNewest) =>
        LinkIn(group->Node(index), group->Heights[index], &group->Search(index)->Splice, out isNewest);

    /// <summary>Leaves the place of the group's last node for the next insertion: keys may come in order.</summary>
    public void EndGroup(Group* group)
    {
        Splice* shared = SharedSplice;
        if (Interlocked.CompareExchange(ref shared->Busy, 1, 0) == 0)
        {
            Splice* last = &group->Search(group->Count - 1)->Splice;
            for (int level = 0; level < group->Search(group->Count - 1)->Levels; level++)
            {
                shared->Prev[level] = last->Prev[level];
                shared->Next[level] = last->Next[level];
            }

            Volatile.Write(ref shared->Busy, 0);
        }
    }

    private bool IsAtSplice(SkipListNode* node)
    {
        Splice* shared = SharedSplice;
        bool result = false;
        if (Interlocked.CompareExchange(ref shared->Busy, 1, 0) == 0)
        {
            result = shared->Brackets(0, _head, SkipListNode.Key(node), SkipListNode.PrefixLength(node));
            Volatile.Write(ref shared->Busy, 0);
        }

        return result;
    }

    private void FindSplices(Group* group)
    {
        int levels = Volatile.Read(ref _height);
        for (int i = 0; i < group->Count; i++)
        {
            group->Search(i)->Begin(_head, levels, group->Node(i));
        }

        for (int open = group->Count; open > 0;)
        {
            open = 0;
            for (int i = 0; i < group->Count; i++)
            {
                Search* search = group->Search(i);
                if (search->Level >= 0 && search->Advance())
                {
                    open++;
                }
            }
        }
    }

    /// <summary>Nodes to be linked in together. As large as a few pages; lives on the stack.</summary>
    public struct Group
    {
        public int Count;
        public fixed int Heights[GroupSize];
        private fixed long _nodes[GroupSize];
        private SearchArray _searches;

        public readonly SkipListNode* Node(int index) => (SkipListNode*)(nint)_nodes[index];

        public void Add(SkipListNode* node, int height)
        {
            _nodes[Count] = (nint)node;
            Heights[Count++] = height;
        }

        internal Search* Search(int index) => (Search*)Unsafe.AsPointer(ref _searches[index]);
    }

    [InlineArray(GroupSize)]
    internal struct SearchArray
    {
        private Search _first;
    }

    /// <summary>A search that can be left where it waits for memory.</summary>
    internal struct Search
    {
        public Splice Splice;
        public int Levels;
        public int Level;
        private SkipListNode* _before;
        private SkipListNode* _bound;
        private SkipListNode* _candidate;
        private ulong _target;
        private byte* _key;
        private int _prefixLength;

        public void Begin(SkipListNode* head, int levels, SkipListNode* node)
        {
            Levels = levels;
            Level = levels - 1;
            _before = head;
            _bound = null;
            _candidate = null;
            _key = SkipListNode.Key(node);
            _prefixLength = SkipListNode.PrefixLength(node);
            _target = SkipListNode.HintOf(_key, _prefixLength, 0, ulong.MaxValue);
        }

        /// <summary>
        /// Goes on to the next node that has to be looked at, and has it fetched; false at the end. The same steps as
        /// <see cref="SkipList.Advance"/>.
        /// </summary>
        public bool Advance()
        {
            int level = Level;
            if (_candidate != null)
            {
                if (SkipListNode.Compare(_candidate, _key, _prefixLength, out int common) < 0)
                {
                    _before = _candidate;
                    _target = SkipListNode.HintOf(_key, _prefixLength, common, ulong.MaxValue);
                }
                else
                {
                    Found(level--, _candidate);
                }

                _candidate = null;
            }

            SkipListNode* before = _before;
            while (level >= 0)
            {
                SkipListNode* next = SkipListNode.Next(before, level);
                if (next != _bound && next != null && Volatile.Read(ref SkipListNode.Hint(before, level)) <= _target)
                {
                    _candidate = next;
                    Level = level;
                    if (Sse.IsSupported)
                    {
                        Sse.Prefetch0(next);
                        Sse.Prefetch0((byte*)next - ((level + 1) * SkipListNode.LinkBytes));
                    }

                    return true;
                }

                Found(level--, next);
            }

            Level = level;
            return false;
        }

        private void Found(int level, SkipListNode* next)
        {
            Splice.Prev[level] = (nint)_before;
            Splice.Next[level] = (nint)next;
            _bound = next;
        }
    }
}

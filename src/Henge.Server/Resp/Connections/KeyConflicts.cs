using System.IO.Hashing;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Connections;

/// <summary>
/// Tells whether a command touches a key that its batch already writes, or writes one that its batch reads. Keeps 1,024 bits a kind: a
/// false alarm only ends a batch early. As long as a batch only reads, or only writes, nothing is hashed: writes to one key keep their
/// order by themselves.
/// </summary>
internal sealed class KeyConflicts
{
    private const int Words = 16;
    private readonly ulong[] _read = new ulong[Words];
    private readonly ulong[] _written = new ulong[Words];
    private readonly List<(RespArguments Arguments, DataCommand Command)> _unhashed = [];
    private bool _reads, _writes;

    /// <summary>Asks for one more command; when the answer is false it counts as part of the batch.</summary>
    public bool Touches(RespArguments arguments, DataCommand command)
    {
        bool mixed = (_reads || _writes) && (command.Writes ? _reads : _writes);
        if (!mixed && !(_reads && _writes))
        {
            _unhashed.Add((arguments, command));
            (_reads, _writes) = (_reads || !command.Writes, _writes || command.Writes);
            return false;
        }

        foreach ((RespArguments earlier, DataCommand kind) in _unhashed)
        {
            Visit(earlier, kind, mark: true);
        }

        _unhashed.Clear();
        if (Visit(arguments, command, mark: false))
        {
            return true;
        }

        Visit(arguments, command, mark: true);
        (_reads, _writes) = (_reads || !command.Writes, _writes || command.Writes);
        return false;
    }

    /// <summary>Begins a new batch.</summary>
    public void Clear()
    {
        if (_reads && _writes)
        {
            Array.Clear(_read);
            Array.Clear(_written);
        }

        _unhashed.Clear();
        _reads = _writes = false;
    }

    private bool Visit(RespArguments arguments, DataCommand command, bool mark)
    {
        (int first, int last, int step) = command.Keys;
        int end = last < 0 ? arguments.Count + last : last;
        for (int i = first; i <= end && i < arguments.Count && first > 0; i += step)
        {
            ulong hash = XxHash64.HashToUInt64(arguments.Span(i));
            int word = (int)(hash % Words);
            ulong bit = 1UL << (int)(hash >> 58);
            if (mark)
            {
                (command.Writes ? _written : _read)[word] |= bit;
            }
            else if ((_written[word] & bit) != 0 || (command.Writes && (_read[word] & bit) != 0))
            {
                return true;
            }
        }

        return false;
    }
}

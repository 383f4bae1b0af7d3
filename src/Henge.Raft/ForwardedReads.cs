namespace Henge.Raft;

/// <summary>
/// Reads that a follower has asked its leader about. Each request has a number that was never used before, not even before a restart
/// (numbers begin at a random place): an answer to an earlier request, delayed in the network, can never pass for the answer to a later
/// one.
/// </summary>
internal sealed class ForwardedReads(ulong firstNumber)
{
    private readonly record struct Pending(ulong Number, ulong Id, ulong ExpiresAtTick);

    // In the order of asking, and so of expiry.
    private readonly List<Pending> _pending = [];
    private ulong _number = firstNumber;

    public int Count => _pending.Count;

    public ulong Add(ulong id, ulong expiresAtTick)
    {
        _number = unchecked(_number + 1);
        _pending.Add(new Pending(_number, id, expiresAtTick));
        return _number;
    }

    public bool TryTake(ulong number, out ulong id)
    {
        for (int i = 0; i < _pending.Count; i++)
        {
            if (_pending[i].Number == number)
            {
                id = _pending[i].Id;
                _pending.RemoveAt(i);
                return true;
            }
        }

        id = 0;
        return false;
    }

    public void Expire(ulong nowTick, List<ulong> failed)
    {
        int count = 0;
        while (count < _pending.Count && _pending[count].ExpiresAtTick <= nowTick)
        {
            failed.Add(_pending[count++].Id);
        }

        _pending.RemoveRange(0, count);
    }

    public void Fail(List<ulong> failed)
    {
        foreach (Pending read in _pending)
        {
            failed.Add(read.Id);
        }

        _pending.Clear();
    }
}

using System.IO.Hashing;
using System.Numerics;

namespace Henge.Node.StateMachine;

/// <summary>Takes numbers and bytes into one 64-bit hash, order included. For comparing replicas; not for adversaries.</summary>
internal struct StateHasher
{
    private ulong _state;

    public readonly ulong Value => _state;

    public void Add(ulong number) => _state = BitOperations.RotateLeft((_state ^ number) * 0x9E3779B185EBCA87, 29) + 0x165667B19E3779F9;

    public void Add(ReadOnlySpan<byte> bytes)
    {
        Add((ulong)bytes.Length);
        _state = XxHash64.HashToUInt64(bytes, unchecked((long)_state));
    }
}

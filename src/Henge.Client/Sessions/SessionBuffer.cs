using System.Buffers;
using Henge.Protocol.Grpc;

namespace Henge.Client;

/// <summary>
/// Framed messages that wait to be written. The last one is open: operations are added to it until it is large enough or written. Not thread-safe.
/// </summary>
internal sealed class SessionBuffer
{
    /// <summary>A message is closed once it has this many bytes, so that the node can begin on it while the rest is on its way.</summary>
    private const int TargetMessageBytes = 64 * 1024;

    private const int InitialBytes = 4 * 1024;

    /// <summary>More than this is not kept for the next batch.</summary>
    private const int LimitKeptBytes = 1024 * 1024;

    private byte[] _bytes = ArrayPool<byte>.Shared.Rent(InitialBytes);
    private int _messageStart = -1;

    /// <summary>Bytes that wait.</summary>
    public int Length { get; private set; }

    /// <summary>Room for an element of the open message.</summary>
    public Span<byte> Take(int length)
    {
        if (_messageStart >= 0 && Length - _messageStart + length > TargetMessageBytes)
        {
            Close();
        }

        int needed = Length + length + GrpcFrame.PrefixBytes;
        if (needed > _bytes.Length)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(needed, _bytes.Length * 2));
            _bytes.AsSpan(0, Length).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_bytes);
            _bytes = larger;
        }

        if (_messageStart < 0)
        {
            _messageStart = Length;
            Length += GrpcFrame.PrefixBytes;
        }

        Span<byte> room = _bytes.AsSpan(Length, length);
        Length += length;
        return room;
    }

    /// <summary>Makes the element that begins at a place one that nodes skip: of a field that SessionRequest does not have.</summary>
    public void Withdraw(int place)
    {
        const byte OperationsTag = (1 << 3) | 2, UnknownTag = (15 << 3) | 2;
        Core.Invariant.Check(_bytes[place] == OperationsTag);
        _bytes[place] = UnknownTag;
    }

    /// <summary>Closes the open message and gives all that waits.</summary>
    public ReadOnlyMemory<byte> Seal()
    {
        Close();
        return _bytes.AsMemory(0, Length);
    }

    /// <summary>Makes it empty.</summary>
    public void Clear()
    {
        Length = 0;
        _messageStart = -1;
        if (_bytes.Length > LimitKeptBytes)
        {
            ArrayPool<byte>.Shared.Return(_bytes);
            _bytes = ArrayPool<byte>.Shared.Rent(InitialBytes);
        }
    }

    private void Close()
    {
        if (_messageStart >= 0)
        {
            GrpcFrame.WritePrefix(_bytes.AsSpan(_messageStart), Length - _messageStart - GrpcFrame.PrefixBytes);
            _messageStart = -1;
        }
    }
}

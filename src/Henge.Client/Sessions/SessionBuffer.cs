using System.Buffers;
using Henge.Protocol.Messages;

namespace Henge.Client.Sessions;

/// <summary>
/// Messages that wait to be written. The last one is open: operations are added to it until it is large enough or the batch is sealed. Not
/// thread-safe.
/// </summary>
internal sealed class SessionBuffer
{
    /// <summary>A message is closed once it has this many bytes, so that the node can begin on it while the rest is on its way.</summary>
    private const int TargetMessageBytes = 64 * 1024;

    private const int InitialBytes = 4 * 1024;

    /// <summary>More than this is not kept for the next batch.</summary>
    private const int LimitKeptBytes = 1024 * 1024;

    // Where messages end; those before _next have been taken.
    private readonly List<int> _ends = [];
    private byte[] _bytes = ArrayPool<byte>.Shared.Rent(InitialBytes);
    private int _openStart;
    private int _next;

    /// <summary>Bytes that it holds.</summary>
    public int Length { get; private set; }

    /// <summary>True when there are closed messages that have not been taken.</summary>
    public bool HasMessages => _next < _ends.Count;

    /// <summary>Room for an element of the open message.</summary>
    public Span<byte> Take(int length)
    {
        if (Length - _openStart + length > TargetMessageBytes)
        {
            Seal();
        }

        int needed = Length + length;
        if (needed > _bytes.Length)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(Math.Max(needed, _bytes.Length * 2));
            _bytes.AsSpan(0, Length).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_bytes);
            _bytes = larger;
        }

        Span<byte> room = _bytes.AsSpan(Length, length);
        Length += length;
        return room;
    }

    /// <summary>Makes the element that begins at a place one that nodes pass over.</summary>
    public void Withdraw(int place) => SessionOperationFields.Withdraw(_bytes.AsSpan(place));

    /// <summary>Closes the open message, if there is anything in it.</summary>
    public void Seal()
    {
        if (Length > _openStart)
        {
            _ends.Add(Length);
            _openStart = Length;
        }
    }

    /// <summary>Takes the first closed message that has not been taken. Valid until the buffer is cleared or added to.</summary>
    public ReadOnlySpan<byte> Next()
    {
        int start = _next == 0 ? 0 : _ends[_next - 1];
        return _bytes.AsSpan(start..(_ends[_next++]));
    }

    /// <summary>Makes it empty.</summary>
    public void Clear()
    {
        Length = 0;
        _openStart = 0;
        _next = 0;
        _ends.Clear();
        if (_bytes.Length > LimitKeptBytes)
        {
            ArrayPool<byte>.Shared.Return(_bytes);
            _bytes = ArrayPool<byte>.Shared.Rent(InitialBytes);
        }
    }
}

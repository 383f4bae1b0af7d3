using System.Buffers;

namespace Henge.Server.Operations;

/// <summary>
/// The memory of one operation: its key and its encoded command. Small buffers are kept for the next operation, large ones go back to the
/// pool. Not thread-safe.
/// </summary>
internal sealed class OperationBuffer : IBufferWriter<byte>
{
    private const int KeptBytes = 1024;

    private byte[] _bytes = [];

    /// <summary>Bytes written since <see cref="Clear"/>.</summary>
    public int Length { get; private set; }

    public ReadOnlyMemory<byte> Memory => _bytes.AsMemory(0, Length);

    public ReadOnlySpan<byte> Span => _bytes.AsSpan(0, Length);

    public void Advance(int count) => Length += count;

    /// <summary>Takes back what was written behind a length.</summary>
    public void Truncate(int length) => Length = length;

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _bytes.AsMemory(Length);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Reserve(sizeHint);
        return _bytes.AsSpan(Length);
    }

    /// <summary>Makes room for so many bytes more, so that slices taken until they are used stay good.</summary>
    public void Reserve(int sizeHint)
    {
        int needed = checked(Length + Math.Max(sizeHint, 1));
        if (needed > _bytes.Length)
        {
            byte[] larger = ArrayPool<byte>.Shared.Rent(
                Math.Max(needed, Math.Max(256, (int)Math.Min(2L * _bytes.Length, Array.MaxLength))));
            _bytes.AsSpan(0, Length).CopyTo(larger);
            Release();
            _bytes = larger;
        }
    }

    /// <summary>Appends bytes.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(GetSpan(bytes.Length));
        Length += bytes.Length;
    }

    /// <summary>Makes it ready for the next operation.</summary>
    public void Clear()
    {
        Length = 0;
        if (_bytes.Length > KeptBytes)
        {
            Release();
            _bytes = [];
        }
    }

    private void Release()
    {
        if (_bytes.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_bytes);
        }
    }
}

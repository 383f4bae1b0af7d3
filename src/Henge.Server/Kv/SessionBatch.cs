using System.Buffers;
using Grpc.Core;

namespace Henge.Server.Kv;

/// <summary>
/// A SessionRequest as it came, in pooled memory: its operations are read in place when there is room for them. Dispose of it once they
/// are.
/// </summary>
internal sealed class SessionBatch : IDisposable
{
    private byte[] _rented;

    private SessionBatch(byte[] rented, int length)
    {
        _rented = rented;
        Bytes = rented.AsMemory(0, length);
    }

    /// <summary>How requests are read; nothing writes them.</summary>
    public static Marshaller<SessionBatch> Marshaller { get; } = new(static (_, _) => throw new NotSupportedException(), Read);

    /// <summary>The encoded message.</summary>
    public ReadOnlyMemory<byte> Bytes { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        byte[] rented = _rented;
        _rented = [];
        Bytes = default;
        if (rented.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    private static SessionBatch Read(DeserializationContext context)
    {
        ReadOnlySequence<byte> message = context.PayloadAsReadOnlySequence();
        byte[] rented = message.IsEmpty ? [] : ArrayPool<byte>.Shared.Rent((int)message.Length);
        message.CopyTo(rented);
        return new SessionBatch(rented, (int)message.Length);
    }
}

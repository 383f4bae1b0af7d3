using System.Runtime.InteropServices;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>What another node has read for a <see cref="OperationKind.Get"/>. Immutable.</summary>
internal sealed unsafe class RemoteValue(byte[] bytes, Core.Version version, long expiresAtMs, DataType type) : IPinOwner
{
    /// <summary>A key that is not there.</summary>
    public static RemoteValue None { get; } = new([], default, 0, DataType.Bytes);

    /// <summary>The value; false when the key is not there. Dispose of it.</summary>
    public bool TryRead(out PinnedValue value)
    {
        if (ReferenceEquals(this, None))
        {
            value = default;
            return false;
        }

        var handle = GCHandle.Alloc(bytes, GCHandleType.Pinned);
        value = new PinnedValue(
            this,
            GCHandle.ToIntPtr(handle),
            (byte*)handle.AddrOfPinnedObject(),
            bytes.Length,
            version,
            expiresAtMs,
            type);
        return true;
    }

    /// <inheritdoc/>
    public void Unpin(nint token) => GCHandle.FromIntPtr(token).Free();
}

using System.Buffers;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Watch;

namespace Henge.Node.Subscriptions;

/// <summary>
/// Encodes events for another node: <c>flags u8 | [shard varint | version varint] | key | [type u8 | expiry varint | value] | [type u8 |
/// version varint | previous value]</c>. The flags are the reason, whether there is a previous value, and whether shard and version follow:
/// they do where they are others than those of the event before. Not thread-safe.
/// </summary>
/// <param name="shards">The cluster's shards.</param>
/// <param name="options">Bounds of watching.</param>
internal sealed class EventsWriter(ShardMap shards, WatchOptions options) : IWatchReceiver
{
    /// <summary>The reason.</summary>
    public const byte ReasonMask = 7;

    /// <summary>The event has a previous value.</summary>
    public const byte HasPrevious = 8;

    /// <summary>Shard and version follow.</summary>
    public const byte IsFirst = 16;

    private const int KeepBytes = 1024 * 1024;
    private ArrayBufferWriter<byte> _buffer = new(4096);
    private ShardId _shard;
    private Core.Version _version;
    private int _previousBytes;

    /// <summary>What was written.</summary>
    public ReadOnlySpan<byte> Written => _buffer.WrittenSpan;

    /// <summary>Begins again with nothing.</summary>
    public void Clear()
    {
        _version = default;
        _previousBytes = 0;
        if (_buffer.Capacity > KeepBytes)
        {
            _buffer = new ArrayBufferWriter<byte>(4096);
        }

        _buffer.ResetWrittenCount();
    }

    /// <inheritdoc/>
    public void OnEvent(in WatchEventView watchEvent)
    {
        if (watchEvent.Reason == WatchReason.Progress)
        {
            // The positions say it, for each shard.
            return;
        }

        ShardId shard = shards.ShardOf(watchEvent.Key);
        bool isFirst = watchEvent.Version != _version || shard != _shard;
        bool hasPrevious = watchEvent.HasPrevious && _previousBytes + watchEvent.PreviousValue.Length <= options.ServedPreviousBytes;
        if (_buffer.WrittenCount + watchEvent.Key.Length + watchEvent.Value.Length > options.ServedVersionBytes)
        {
            throw new HengeException(
                ErrorCode.TooLarge,
                $"The events of version {watchEvent.Version} are more than fit into a message from one node to another "
                    + $"({options.ServedVersionBytes} bytes). Watch at a node that carries shard {shard}.");
        }

        _buffer.WriteByte((byte)((byte)watchEvent.Reason | (hasPrevious ? HasPrevious : 0) | (isFirst ? IsFirst : 0)));
        if (isFirst)
        {
            (_shard, _version) = (shard, watchEvent.Version);
            _buffer.WriteVarint(shard.Value);
            _buffer.WriteVarint(watchEvent.Version.Value);
        }

        _buffer.WriteBytes(watchEvent.Key);
        if (watchEvent.Reason == WatchReason.Put)
        {
            _buffer.WriteByte((byte)watchEvent.Type);
            _buffer.WriteVarint((ulong)watchEvent.ExpiresAtMs);
            _buffer.WriteBytes(watchEvent.Value);
        }

        if (hasPrevious)
        {
            _previousBytes += watchEvent.PreviousValue.Length;
            _buffer.WriteByte((byte)watchEvent.PreviousType);
            _buffer.WriteVarint(watchEvent.PreviousVersion.Value);
            _buffer.WriteBytes(watchEvent.PreviousValue);
        }
    }
}

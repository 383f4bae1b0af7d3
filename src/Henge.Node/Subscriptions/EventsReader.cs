using Henge.Core;
using Henge.Node.Api;
using Henge.Storage;

namespace Henge.Node.Subscriptions;

/// <summary>Walks what an <see cref="EventsWriter"/> has written, never outside of it.</summary>
/// <param name="events">The encoded events.</param>
internal ref struct EventsReader(ReadOnlySpan<byte> events)
{
    private readonly int _length = events.Length;
    private SpanReader _reader = new(events);

    /// <summary>The event that was read last; its spans point into what is read.</summary>
    public WatchEventView Current { get; private set; }

    /// <summary>The shard of <see cref="Current"/>.</summary>
    public ShardId Shard { get; private set; }

    /// <summary>The version of <see cref="Current"/>.</summary>
    public Core.Version Version { get; private set; }

    /// <summary>True when <see cref="Current"/> is the first event of its version.</summary>
    public bool IsFirst { get; private set; }

    /// <summary>True once bytes made no sense.</summary>
    public bool Failed { get; private set; }

    /// <summary>Where the next event begins.</summary>
    public readonly int Position => _length - _reader.Rest.Length;

    /// <summary>Moves to the next event; false at the end, or when the bytes make no sense.</summary>
    public bool MoveNext()
    {
        if (Failed || !_reader.TryReadByte(out byte flags))
        {
            return false;
        }

        var reason = (WatchReason)(flags & EventsWriter.ReasonMask);
        IsFirst = (flags & EventsWriter.IsFirst) != 0;
        if (IsFirst)
        {
            Shard = new ShardId((uint)_reader.ReadVarint(uint.MaxValue));
            Version = new Core.Version(_reader.ReadVarint(Core.Version.MaxValue));
        }

        var view = new WatchEventView { Reason = reason, Key = _reader.ReadBytes(), Version = Version };
        if (reason == WatchReason.Put)
        {
            view = view with
            {
                Type = (DataType)_reader.ReadByte(),
                ExpiresAtMs = (long)_reader.ReadVarint(long.MaxValue),
                Value = _reader.ReadBytes(),
            };
        }

        if ((flags & EventsWriter.HasPrevious) != 0)
        {
            view = view with
            {
                HasPrevious = true,
                PreviousType = (DataType)_reader.ReadByte(),
                PreviousVersion = new Core.Version(_reader.ReadVarint(Core.Version.MaxValue)),
                PreviousValue = _reader.ReadBytes(),
            };
        }

        Current = view;
        Failed = _reader.Failed
            || Version.IsZero
            || reason is not (WatchReason.Put or WatchReason.Delete or WatchReason.Expired)
            || flags > (EventsWriter.ReasonMask | EventsWriter.HasPrevious | EventsWriter.IsFirst)
            || !Enum.IsDefined(view.Type)
            || !Enum.IsDefined(view.PreviousType);
        return !Failed;
    }
}

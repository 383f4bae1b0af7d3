using Henge.Node.Api;
using Henge.Storage;

namespace Henge.Server.Rest;

/// <summary>
/// Takes the events of one read of a watch, which are those of one version or a mark, and writes them in the order of their keys with their
/// ids. One thread at a time.
/// </summary>
internal sealed class EventBatch(EventStreamWriter writer, EventPosition? resumed)
{
    private readonly List<Kept> _events = [];
    private readonly List<(Core.Version Version, ulong KeyHash)> _begun = [.. resumed?.Begun ?? []];

    /// <summary>Takes an event.</summary>
    public void Add(in WatchEventView watchEvent) => _events.Add(new Kept(watchEvent));

    /// <summary>The id of the place behind everything that was written.</summary>
    /// <param name="token">The watch's token.</param>
    public string Position(byte[] token) => new EventPosition(token, _begun).ToString();

    /// <summary>Writes what was taken.</summary>
    /// <param name="before">The watch's token before the read.</param>
    /// <param name="after">The watch's token after the read.</param>
    public void Write(byte[] before, byte[] after)
    {
        _events.Sort(static (a, b) => a.Version == b.Version ? a.Key.AsSpan().SequenceCompareTo(b.Key) : a.Version.CompareTo(b.Version));
        int first = 0;
        for (int i = 0; i < _events.Count; i++)
        {
            // What an earlier stream gave of this version is passed over.
            if (_begun.Remove((_events[i].Version, _events[i].KeyHash)))
            {
                first = i + 1;
            }
        }

        for (int i = first; i < _events.Count; i++)
        {
            Kept e = _events[i];
            EventPosition position =
                i == _events.Count - 1 ? new EventPosition(after, _begun) : new EventPosition(before, [.. _begun, (e.Version, e.KeyHash)]);
            writer.Event(e.View(), position.ToString());
        }

        _events.Clear();
    }

    private sealed class Kept(in WatchEventView e)
    {
        private readonly byte[] _value = e.Value.ToArray();
        private readonly byte[] _previous = e.PreviousValue.ToArray();
        private readonly WatchReason _reason = e.Reason;
        private readonly bool _hasPrevious = e.HasPrevious;
        private readonly Core.Version _previousVersion = e.PreviousVersion;
        private readonly DataType _type = e.Type;
        private readonly DataType _previousType = e.PreviousType;
        private readonly long _expiresAtMs = e.ExpiresAtMs;

        public byte[] Key { get; } = e.Key.ToArray();

        public ulong KeyHash { get; } = EventPosition.HashOf(e.Key);

        public Core.Version Version { get; } = e.Version;

        public WatchEventView View() => new()
        {
            Reason = _reason,
            Key = Key,
            Value = _value,
            Type = _type,
            Version = Version,
            ExpiresAtMs = _expiresAtMs,
            HasPrevious = _hasPrevious,
            PreviousValue = _previous,
            PreviousType = _previousType,
            PreviousVersion = _previousVersion,
        };
    }
}

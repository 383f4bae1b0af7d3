using Google.Protobuf;
using Henge.Client.Mapping;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Watching;

/// <summary>
/// Where a watch stands, so that another connection can go on from there: the last token, and which events came after it. What the new
/// connection repeats of those is dropped. Not thread-safe.
/// </summary>
internal sealed class WatchProgress
{
    // Tokens come with events; a node that sends this many events without one is out of order, and the watch says so.
    private const int LimitRemembered = 1_000_000;

    private readonly HashSet<(ulong Version, ByteString Key)> _seenSinceToken = [];
    private ByteString _token;
    private ulong _start;
    private bool _isConnected;

    public WatchProgress(WatchOptions options)
    {
        _token = WireMapping.Bytes(options.ResumeToken.ToArray());
        _start = options.StartVersion.Value;
    }

    /// <summary>Writes where to go on into a request.</summary>
    public void ApplyTo(Wire.WatchRequest request)
    {
        request.ResumeToken = _token;
        request.StartVersion = _token.IsEmpty ? _start : 0;
        _isConnected = false;
    }

    /// <summary>Takes note of a message; false when it repeats an event that was given before the connection broke.</summary>
    public bool Advance(Wire.WatchEvent watchEvent)
    {
        bool isEvent = watchEvent.Reason != Wire.WatchReason.Progress && watchEvent.EventType != "PROGRESS";
        bool isNew = true;
        if (isEvent)
        {
            _isConnected = true;

            // Without a token, only the lowest version seen is a place from which nothing is missed.
            isNew = _seenSinceToken.Add((watchEvent.Version, watchEvent.Key));
            if (_token.IsEmpty && (_start == 0 || watchEvent.Version < _start))
            {
                _start = watchEvent.Version;
            }
        }

        if (!watchEvent.ResumeToken.IsEmpty)
        {
            _token = watchEvent.ResumeToken;

            // A repeated event's token may lie before events that were given already, and so does that of the mark with which a
            // connection begins.
            if (isNew && _isConnected)
            {
                _seenSinceToken.Clear();
            }
        }
        else if (_seenSinceToken.Count > LimitRemembered)
        {
            throw new InternalErrorException(
                $"The node sent {LimitRemembered} events without a resume token, so that the watch could not be resumed.");
        }

        return isNew;
    }
}

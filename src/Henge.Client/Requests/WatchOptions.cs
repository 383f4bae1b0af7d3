using Henge.Core;

namespace Henge.Client;

/// <summary>What a watch can say.</summary>
public sealed record WatchOptions
{
    /// <summary>Which keys; default: all.</summary>
    public KeyRange Range { get; init; }

    /// <summary>Short for a <see cref="Range"/> of the keys that begin with this text (UTF-8).</summary>
    public string Prefix
    {
        init => Range = KeyRange.Prefix(value);
    }

    /// <summary>Events with this version and later; zero: from now on.</summary>
    public Core.Version StartVersion { get; init; }

    /// <summary>Events carry the value that they replaced, where history still has it.</summary>
    public bool PreviousValues { get; init; }

    /// <summary>
    /// Also give progress marks: events of kind <see cref="WatchEventKind.Progress"/>, which say that everything up to their version has
    /// been given.
    /// </summary>
    public bool Progress { get; init; }

    /// <summary>
    /// Go on exactly where an earlier watch stood: the <see cref="WatchEvent.ResumeToken"/> of the last event that was handled.
    /// </summary>
    public ReadOnlyMemory<byte> ResumeToken { get; init; }

    /// <summary>
    /// How long the watch may be cut off before it gives up with <see cref="UnavailableException"/>;
    /// <see cref="Timeout.InfiniteTimeSpan"/>: never. Default: two minutes, since a watch that is silent because it is dead should be heard
    /// of.
    /// </summary>
    public TimeSpan ReconnectTimeout { get; init; } = TimeSpan.FromMinutes(2);
}

using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>What a watch is about.</summary>
public sealed record WatchQuery
{
    /// <summary>First key, inclusive.</summary>
    public ReadOnlyMemory<byte> Lower { get; init; }

    /// <summary>Last key, exclusive; empty means no end.</summary>
    public ReadOnlyMemory<byte> Upper { get; init; }

    /// <summary>Events with this version and later; zero: from now on.</summary>
    public Core.Version Start { get; init; }

    /// <summary>An earlier watch's <see cref="IWatch.ResumeToken"/>; wins over <see cref="Start"/>.</summary>
    public ReadOnlyMemory<byte> Resume { get; init; }

    /// <summary>Events carry the value that they replace, where history still has it.</summary>
    public bool PreviousValues { get; init; }

    /// <summary>Progress marks are wanted.</summary>
    public bool Progress { get; init; }

    /// <summary>Who asks. See <see cref="Operation.Asker"/>.</summary>
    public Asker Asker { get; init; }
}

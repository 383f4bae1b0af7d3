namespace Henge.Node.Replication;

/// <summary>The ticks that a replica takes at a time: one, or several while it rests.</summary>
/// <param name="Before">The last tick that it took before.</param>
/// <param name="Now">The tick that it takes now; later.</param>
internal readonly record struct TickSpan(long Before, long Now)
{
    /// <summary>Whether what is due at each tick that an interval divides is due in this one.</summary>
    /// <param name="interval">In ticks, 1 or more.</param>
    /// <param name="offset">So many ticks earlier: shards take turns.</param>
    public bool Reaches(long interval, long offset = 0) => (Now + offset) / interval != (Before + offset) / interval;
}

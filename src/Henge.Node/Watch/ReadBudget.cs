namespace Henge.Node.Watch;

/// <summary>What may still be given in one call of <see cref="NodeWatch.TryRead"/>.</summary>
/// <param name="items">Events.</param>
/// <param name="bytes">Bytes of keys and values.</param>
internal struct ReadBudget(int items, int bytes)
{
    /// <summary>Events that are left.</summary>
    public int Items { get; private set; } = items;

    /// <summary>Bytes that are left.</summary>
    public int Bytes { get; private set; } = bytes;

    /// <summary>True when anything was given.</summary>
    public bool IsTouched { get; private set; }

    /// <summary>True when more may be given.</summary>
    public readonly bool IsLeft => Items > 0 && Bytes > 0;

    /// <summary>Takes note of what was given.</summary>
    public void Take(int items, int bytes)
    {
        Items = Math.Max(0, Items - items);
        Bytes = Math.Max(0, Bytes - bytes);
        IsTouched |= items > 0;
    }
}

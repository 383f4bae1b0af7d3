using Henge.Storage.Lsm.Levels;

namespace Henge.Storage.Lsm.Compactions;

/// <summary>A piece of work: tables of one level, and those of the next that overlap them.</summary>
internal sealed record Compaction
{
    public required int Level { get; init; }

    public required int OutputLevel { get; init; }

    /// <summary>Tables of <see cref="Level"/>; of L0, newest first.</summary>
    public required TableHandle[] Inputs { get; init; }

    /// <summary>Tables of <see cref="OutputLevel"/> that overlap the inputs (none when a level is rewritten in place).</summary>
    public required TableHandle[] Overlapped { get; init; }

    public required string Reason { get; init; }

    /// <summary>True when the inputs only have to be listed in another level.</summary>
    public bool IsMove { get; init; }

    public IEnumerable<TableHandle> AllInputs => Inputs.Concat(Overlapped);

    public long InputBytes => AllInputs.Sum(static table => table.Meta.Bytes);

    public override string ToString() =>
        $"L{Level} {Inputs.Length} + L{OutputLevel} {Overlapped.Length} tables, {InputBytes} bytes{(IsMove ? ", moved" : "")} ({Reason})";
}

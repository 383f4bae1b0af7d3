using System.Text;
using Henge.Simulation.Checking;

namespace Henge.Simulation.Clients;

/// <summary>A scan as its client saw it.</summary>
internal sealed record ScanRecord(
    long Call,
    long Return,
    ulong Version,
    SortedDictionary<string, (long Value, ulong Version)> Found,
    bool IsNow);

/// <summary>A read as of a version in the past.</summary>
internal sealed record PastRead(string Key, ulong At, long Value, ulong Version);

/// <summary>
/// A write of unknown outcome whose number was used up by another one, which was applied at a version: above that its value never comes.
/// </summary>
internal sealed record VoidedWrite(long Value, ulong Version);

/// <summary>
/// A transaction asked that a key was not written to after a version, and was done at another; or did not take effect, and found no key.
/// </summary>
internal sealed record UnwrittenCompare(string Key, ulong Since, ulong Version, bool Held);

/// <summary>Everything that clients did and saw.</summary>
internal sealed class SimHistory
{
    private long _instant;

    /// <summary>Operations by key.</summary>
    public SortedDictionary<string, List<KeyOperation>> Keys { get; } = new(StringComparer.Ordinal);

    /// <summary>Scans of all keys.</summary>
    public List<ScanRecord> Scans { get; } = [];

    /// <summary>Reads of the past.</summary>
    public List<PastRead> PastReads { get; } = [];

    /// <summary>What connections sent that did not wait for answers.</summary>
    public List<PipelineRecord> Pipelines { get; } = [];

    /// <summary>What clients of hashes wrote.</summary>
    public List<HashOperation> HashWrites { get; } = [];

    /// <summary>What clients of hashes read.</summary>
    public List<HashRead> HashReads { get; } = [];

    /// <summary>Writes that the cluster said were not done: their values must never be seen.</summary>
    public HashSet<long> Refused { get; } = [];

    /// <summary>Writes whose numbers were used up.</summary>
    public List<VoidedWrite> Voided { get; } = [];

    /// <summary>What was compared with deletions.</summary>
    public List<UnwrittenCompare> Unwritten { get; } = [];

    /// <summary>The last number of a value.</summary>
    public long LastValue { get; set; }

    /// <summary>A number for "now" that rises with each call, so that two things at one virtual instant still have an order.</summary>
    public long Instant() => ++_instant;

    /// <summary>Takes note of an operation.</summary>
    public void Add(ReadOnlySpan<byte> key, KeyOperation operation)
    {
        string name = Encoding.ASCII.GetString(key);
        if (!Keys.TryGetValue(name, out List<KeyOperation>? list))
        {
            Keys.Add(name, list = []);
        }

        list.Add(operation);
    }
}

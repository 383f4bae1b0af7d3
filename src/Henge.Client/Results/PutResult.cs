using System.Text;

namespace Henge.Client;

/// <summary>What a put did.</summary>
public readonly record struct PutResult
{
    /// <summary>False when the condition did not hold, and nothing was written.</summary>
    public bool Succeeded { get; init; }

    /// <summary>The version written; when the condition failed, the version that the key is at (zero: does not exist).</summary>
    public Core.Version Version { get; init; }

    /// <summary>With <see cref="PutOptions.ReturnPrevious"/>: what was there before; null when nothing was.</summary>
    public KeyValue? Previous { get; init; }
}

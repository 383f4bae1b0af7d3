using System.Text;

namespace Henge.Client;

/// <summary>What a delete did.</summary>
public readonly record struct DeleteResult
{
    /// <summary>True when the key existed and was deleted.</summary>
    public bool Deleted { get; init; }

    /// <summary>True when <see cref="DeleteOptions.IfVersion"/> did not hold.</summary>
    public bool ConditionFailed { get; init; }

    /// <summary>The version of the deletion; when the condition failed, the version that the key is at.</summary>
    public Core.Version Version { get; init; }

    /// <summary>With <see cref="DeleteOptions.ReturnPrevious"/>: what was there before; null when nothing was.</summary>
    public KeyValue? Previous { get; init; }
}

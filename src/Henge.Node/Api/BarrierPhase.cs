namespace Henge.Node.Api;

/// <summary>What a part of a barrier over several shards asks of its shard.</summary>
internal enum BarrierPhase : byte
{
    /// <summary>It is no part of one.</summary>
    None,
    /// <summary>Wait until everything acknowledged is applied, and give the version last applied.</summary>
    Collect,
    /// <summary>Wait until history is closed at a version.</summary>
    Close,
}

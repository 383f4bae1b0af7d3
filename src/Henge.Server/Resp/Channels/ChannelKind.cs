namespace Henge.Server.Resp.Channels;

/// <summary>What a subscription is to. The numbers of the first and the last are on the wire between nodes: never change one.</summary>
internal enum ChannelKind : byte
{
    /// <summary>A channel by its name: SUBSCRIBE, PUBLISH.</summary>
    Channel = 1,

    /// <summary>All channels that match a pattern: PSUBSCRIBE.</summary>
    Pattern = 2,

    /// <summary>A shard channel: SSUBSCRIBE, SPUBLISH. A space of names of its own.</summary>
    Shard = 3,
}

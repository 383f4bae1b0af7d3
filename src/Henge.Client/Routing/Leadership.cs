namespace Henge.Client.Routing;

/// <summary>Who leads a shard, as far as the client knows.</summary>
/// <param name="Term">
/// In which term: how new it is. Zero when nobody has told, as nodes of kvstore.KVStore do not.
/// </param>
/// <param name="Name">The node's name; null when only its address is known, or nothing.</param>
/// <param name="Address">Where it is reached; null when that is not known.</param>
/// <param name="IsHeard">
/// True when it comes from the answer to a request, and no topology has said it yet.
/// </param>
internal readonly record struct Leadership(ulong Term, string? Name, string? Address, bool IsHeard);

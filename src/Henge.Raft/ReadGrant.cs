using Henge.Core;

namespace Henge.Raft;

/// <summary>A read that may be served as soon as everything up to an index is applied.</summary>
/// <param name="RequestId">As given to <see cref="RaftGroup.RequestRead"/>.</param>
/// <param name="Index">Wait until this index is applied, then read.</param>
public readonly record struct ReadGrant(ulong RequestId, LogIndex Index);

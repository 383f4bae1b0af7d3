using Henge.Core;

namespace Henge.Node.Access;

/// <summary>What a role may do with a range of keys.</summary>
/// <param name="Permissions">What; <see cref="Permissions.Admin"/> is of no keys, and stands with <see cref="KeyRange.All"/>.</param>
/// <param name="Range">With which keys.</param>
public sealed record Grant(Permissions Permissions, KeyRange Range);

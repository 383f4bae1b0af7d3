namespace Henge.Node.Api;

/// <summary>Who asked for an operation or a watch, and by what a guard has let it through.</summary>
/// <param name="User">The user; null: nobody has said.</param>
/// <param name="Generation">
/// The generation of the user's logins by which the user was proved; null: by something that has none, such as a certificate.
/// </param>
/// <param name="CheckedAt">
/// The revision of users and roles by which the guard has let it through, also where access was not checked; null: no guard has seen it, it
/// is the node's own.
/// </param>
public readonly record struct Asker(string? User, ulong? Generation, Core.Version? CheckedAt);

using Henge.Core;

namespace Henge.Node.Access;

/// <summary>Which change of users and roles. The numbers are on the wire: never change one.</summary>
public enum AccessChangeKind
{
    /// <summary>A user is made, without roles.</summary>
    AddUser = 1,
    /// <summary>A user gets another password, or none.</summary>
    SetPassword = 2,
    /// <summary>A user is deleted.</summary>
    DeleteUser = 3,
    /// <summary>A role is made, without grants.</summary>
    AddRole = 4,
    /// <summary>A role is deleted, and taken from all who have it.</summary>
    DeleteRole = 5,
    /// <summary>A user gets a role.</summary>
    GrantRole = 6,
    /// <summary>A user loses a role.</summary>
    RevokeRole = 7,
    /// <summary>A role may do more.</summary>
    Grant = 8,
    /// <summary>A role may do less.</summary>
    Revoke = 9,
    /// <summary>From now on access is checked.</summary>
    Enable = 10,
    /// <summary>From now on it is not.</summary>
    Disable = 11,
    /// <summary>Whoever said to be a user by a password or a token has to say so again, and with another token.</summary>
    RevokeTokens = 12,
    /// <summary>Tokens are signed with another key: none that was given before is good any more.</summary>
    RotateKey = 13,
}

/// <summary>A change of users and roles that somebody asks for. Said again, it does nothing more.</summary>
public sealed record AccessChange
{
    /// <summary>Which.</summary>
    public required AccessChangeKind Kind { get; init; }

    /// <summary>The user, or, for changes of a role, the role.</summary>
    public string Name { get; init; } = "";

    /// <summary>The role that a user gets or loses.</summary>
    public string Role { get; init; } = "";

    /// <summary>The hash of the new password; empty: none is right.</summary>
    public string PasswordHash { get; init; } = "";

    /// <summary>
    /// For changes of a user: the generation of its logins from now on (<see cref="UserRecord.Generation"/>), above all that it has had.
    /// A moment, in Unix milliseconds: so a user that is made under the name of a former one has another.
    /// </summary>
    public ulong Generation { get; init; }

    /// <summary>For <see cref="AccessChangeKind.Enable"/> and <see cref="AccessChangeKind.RotateKey"/>: what signs tokens.</summary>
    public ReadOnlyMemory<byte> SigningKey { get; init; }

    /// <summary>What is granted or revoked.</summary>
    public Permissions Permissions { get; init; }

    /// <summary>Of which keys.</summary>
    public KeyRange Range { get; init; } = KeyRange.All;

    /// <summary>As it may be shown: never with the hash or the key.</summary>
    public override string ToString() => $"{Kind} {Name} {Role} {Permissions} {Range}";
}

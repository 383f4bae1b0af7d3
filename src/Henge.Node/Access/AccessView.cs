using System.Buffers;
using System.Text;
using Henge.Core;
using Henge.Node.StateMachine;
using Henge.Storage;

namespace Henge.Node.Access;

/// <summary>
/// Who may do what, as a node has applied it of the catalog. Immutable; thread-safe. A user that is not there may do nothing.
/// </summary>
public sealed class AccessView
{
    /// <summary>The key of the entry that is there when access is checked.</summary>
    internal const string EnabledKey = "auth/enabled";

    /// <summary>The key of the entry that every change of users, roles and of <see cref="EnabledKey"/> writes anew.</summary>
    internal const string RevisionKey = "auth/revision";

    /// <summary>The key of the entry with what tokens are signed with, in hexadecimal digits.</summary>
    internal const string SigningKeyKey = "auth/key";

    /// <summary>Before a user's name.</summary>
    internal const string UserPrefix = "user/";

    /// <summary>Before a role's name.</summary>
    internal const string RolePrefix = "role/";

    private readonly SortedDictionary<string, UserRecord?> _users;
    private readonly SortedDictionary<string, RoleRecord?> _roles;
    private readonly Dictionary<string, Grant[]> _grants;
    private AccessView? _notKnownOpen;
    private AccessView? _notKnownChecked;

    private AccessView(bool isEnabled, Core.Version revision)
    {
        (IsEnabled, WasEnabled, Revision) = (isEnabled, isEnabled, revision);
        _users = new(StringComparer.Ordinal);
        _roles = new(StringComparer.Ordinal);
        _grants = new(StringComparer.Ordinal);
    }

    private AccessView(AccessView last, bool wasEnabled)
    {
        (IsKnown, IsEnabled, WasEnabled, Revision) = (false, true, wasEnabled, last.Revision);
        (_users, _roles, _grants, SigningKey) = (last._users, last._roles, last._grants, last.SigningKey);
    }

    /// <summary>Nobody has made a user, and nothing is checked.</summary>
    public static AccessView None { get; } = new(false, default);

    /// <summary>
    /// False on a node that has just started and does not know yet what the cluster has decided since: nobody may do anything with keys.
    /// Those who look after the cluster are still those that it knew last, or nobody could repair a cluster that has lost its catalog.
    /// </summary>
    public bool IsKnown { get; } = true;

    /// <summary>Whether access is checked, or, where that is not known, was when the node knew it last.</summary>
    public bool WasEnabled { get; }

    /// <summary>What there is of this while <see cref="IsKnown"/> is false. The same object each time, or one that is equal.</summary>
    /// <param name="wasEnabled">
    /// Whether access was checked when that was known last. One for each answer, as <see cref="None"/> is of all nodes of a process. What
    /// has been applied since counts as well: a node that was told that access is checked has no door open before it knows the rest.
    /// </param>
    internal AccessView WhileNotKnown(bool wasEnabled) => wasEnabled || IsEnabled
        ? _notKnownChecked ??= new AccessView(this, true)
        : _notKnownOpen ??= new AccessView(this, false);

    /// <summary>Whether access is checked at all.</summary>
    public bool IsEnabled { get; }

    /// <summary>The version of the last change of any of it; zero when there was none.</summary>
    public Core.Version Revision { get; }

    /// <summary>What tokens are signed with; empty before access was checked for the first time.</summary>
    public ReadOnlyMemory<byte> SigningKey { get; private set; }

    /// <summary>The users, by name.</summary>
    public IEnumerable<UserRecord> Users => _users.Values.OfType<UserRecord>();

    /// <summary>The roles, by name.</summary>
    public IEnumerable<RoleRecord> Roles => _roles.Values.OfType<RoleRecord>();

    /// <summary>A user; null when there is none of that name.</summary>
    public UserRecord? User(string name) => _users.GetValueOrDefault(name);

    /// <summary>A role; null when there is none of that name.</summary>
    public RoleRecord? Role(string name) => _roles.GetValueOrDefault(name);

    /// <summary>Whether there is an entry of that name, even one that this build does not understand.</summary>
    internal bool HasUser(string name) => _users.ContainsKey(name);

    /// <summary>The same of a role.</summary>
    internal bool HasRole(string name) => _roles.ContainsKey(name);

    /// <summary>Whether a user may do something with one key.</summary>
    public bool Allows(string user, Permissions permissions, ReadOnlySpan<byte> key)
    {
        // Of each kind by itself: one role may give the right to read, and another one that to write.
        foreach (Grant grant in GrantsOf(user))
        {
            if ((grant.Permissions & permissions) != 0 && grant.Range.Contains(key))
            {
                permissions &= ~grant.Permissions;
                if (permissions == Permissions.None)
                {
                    return true;
                }
            }
        }

        return permissions == Permissions.None || IsRoot(user);
    }

    /// <summary>Whether a user may do something with all keys of a range. Grants that meet or overlap count as one.</summary>
    /// <param name="user">The user.</param>
    /// <param name="permission">One permission.</param>
    /// <param name="lower">The first key.</param>
    /// <param name="upper">The key behind the last one; empty: up to the last.</param>
    public bool Allows(string user, Permissions permission, ReadOnlySpan<byte> lower, ReadOnlySpan<byte> upper)
    {
        if (IsRoot(user))
        {
            return true;
        }

        // Grants stand in the order of their lower bounds: up to here everything is covered.
        ReadOnlySpan<byte> covered = lower;
        foreach (Grant grant in GrantsOf(user))
        {
            if ((grant.Permissions & permission) == 0 || grant.Range.Start.Span.SequenceCompareTo(covered) > 0)
            {
                continue;
            }

            if (grant.Range.End.IsEmpty)
            {
                return true;
            }

            covered = grant.Range.End.Span.SequenceCompareTo(covered) > 0 ? grant.Range.End.Span : covered;
            if (!upper.IsEmpty && covered.SequenceCompareTo(upper) >= 0)
            {
                return true;
            }
        }

        // Nothing is in an empty range.
        return !upper.IsEmpty && lower.SequenceCompareTo(upper) >= 0;
    }

    /// <summary>Whether a user may change the cluster, its users and roles.</summary>
    public bool IsAdmin(string user) =>
        IsRoot(user) || Array.Exists(GrantsOf(user), static g => (g.Permissions & Permissions.Admin) != 0);

    /// <summary>Reads it; <paramref name="previous"/> when that is still so. Throws <see cref="HengeException"/> (Corruption).</summary>
    internal static AccessView Read(IStorageEngine engine, AccessView? previous)
    {
        Core.Version revision = default;
        bool isEnabled = false;
        byte[] signingKey = [];
        foreach ((string key, byte[] value, Core.Version version) in Scan(engine, "auth/"))
        {
            signingKey = key == SigningKeyKey ? KeyOf(value) : signingKey;
            revision = key == RevisionKey ? version : revision;
            isEnabled |= key == EnabledKey;
        }

        if (revision.IsZero)
        {
            return None;
        }

        if (previous?.Revision == revision)
        {
            return previous;
        }

        return Of(
            isEnabled,
            revision,
            Scan(engine, RolePrefix).Select(static e => (NameIn(e.Key, RolePrefix), RoleRecord.Parse(NameIn(e.Key, RolePrefix), e.Value))),
            Scan(engine, UserPrefix).Select(static e => (NameIn(e.Key, UserPrefix), UserRecord.Parse(NameIn(e.Key, UserPrefix), e.Value))),
            signingKey);
    }

    /// <summary>Of what there is; null stands for an entry that this build does not understand.</summary>
    internal static AccessView Of(
        bool isEnabled,
        Core.Version revision,
        IEnumerable<(string Name, RoleRecord? Role)> roles,
        IEnumerable<(string Name, UserRecord? User)> users,
        ReadOnlyMemory<byte> signingKey = default)
    {
        var view = new AccessView(isEnabled, revision) { SigningKey = signingKey };
        foreach ((string name, RoleRecord? role) in roles)
        {
            view._roles[name] = role;
        }

        foreach ((string name, UserRecord? user) in users)
        {
            view._users[name] = user;
            view._grants[name] =
            [
                .. (user?.Roles ?? []).Select(view.Role).OfType<RoleRecord>().SelectMany(static r => r.Grants)
                    .Order(Comparer<Grant>.Create(static (a, b) => a.Range.Start.Span.SequenceCompareTo(b.Range.Start.Span))),
            ];
        }

        return view;
    }

    // One that is no key signs nothing, and no token is good.
    private static byte[] KeyOf(byte[] value)
    {
        byte[] key = new byte[value.Length / 2];
        return Convert.FromHexString(Encoding.UTF8.GetString(value), key, out _, out _) == OperationStatus.Done ? key : [];
    }

    private static string NameIn(string key, string prefix) => key[prefix.Length..];

    private bool IsRoot(string user) => user == AccessNames.Root && _users.GetValueOrDefault(user) is not null;

    private Grant[] GrantsOf(string user) => _grants.GetValueOrDefault(user) ?? [];

    private static IEnumerable<(string Key, byte[] Value, Core.Version Version)> Scan(IStorageEngine engine, string prefix)
    {
        byte[] lower = Encoding.UTF8.GetBytes(prefix);
        byte[] upper = [.. lower];
        upper[^1]++;
        List<(string, byte[], Core.Version)> found = [];
        using EngineIterator entries = engine.CreateIterator(new IteratorOptions
        {
            Keyspace = SystemKeys.UserKeyspace(ShardId.Catalog),
            Point = new ReadPoint(Core.Version.Max, 0),
            Lower = lower,
            Upper = upper,
        });
        for (entries.SeekToFirst(); entries.Valid; entries.Next())
        {
            found.Add((Encoding.UTF8.GetString(entries.Key), entries.Value.ToArray(), entries.Version));
        }

        return found;
    }
}

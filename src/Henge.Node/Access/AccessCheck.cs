using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;

namespace Henge.Node.Access;

/// <summary>
/// The one check of what a user may do with keys: over the decoded operation, whatever door it came by. A command without a rule does not
/// compile (<see cref="OwnOf"/>), and what is not understood is refused.
/// </summary>
public static class AccessCheck
{
    /// <summary>Says why a user may not do an operation; null when it may. Allocates nothing when it may.</summary>
    /// <param name="view">Who may do what. Not asked whether access is checked at all.</param>
    /// <param name="user">The user; null: nobody.</param>
    /// <param name="operation">What is asked.</param>
    public static HengeException? Check(AccessView view, string? user, Operation operation)
    {
        if (!view.IsKnown)
        {
            return NotKnown();
        }

        if (user is null)
        {
            return Nobody();
        }

        switch (operation.Kind)
        {
            case OperationKind.Get:
                return view.Allows(user, Permissions.Read, operation.Key.Span) ? null : Denied(user, Permissions.Read, operation.Key.Span);
            case OperationKind.Write:
                return CheckCommand(view, user, operation.Command.Span);
            case OperationKind.Page:
                return operation.Page is { } page ? CheckPage(view, user, page) : Denied(user, Permissions.Read, default);
            case OperationKind.Barrier:
                // It says up to which version everything is there, and nothing of any key. Who does not know the user learns nothing.
                return view.User(user) is null ? Unknown(user) : null;
            default:
                return Denied(user, Permissions.Read, operation.Key.Span);
        }
    }

    /// <summary>
    /// Whether what another node let through has to be checked again: a guard let it through, and went by users and roles that are older
    /// than this node's, or this node does not know its own yet.
    /// </summary>
    public static bool IsOlder(AccessView view, bool isChecked, Core.Version checkedAt) =>
        isChecked && !(view.IsKnown && (!view.IsEnabled || view.Revision <= checkedAt));

    /// <summary>Says why a watch of another node is not served any more; null when it is.</summary>
    public static HengeException? CheckServed(AccessView view, WatchQuery query) =>
        IsOlder(view, query.Asker.CheckedAt is not null, query.Asker.CheckedAt ?? default)
            ? CheckLogin(view, query.Asker.User, query.Asker.Generation) ?? CheckWatch(view, query.Asker.User, query)
            : null;

    /// <summary>Says why a user's login does not count any more; null when it does, or nobody has logged in.</summary>
    /// <param name="view">Who may do what.</param>
    /// <param name="user">The user; null: nobody.</param>
    /// <param name="generation">The generation of the user's login; null: it has none.</param>
    public static HengeException? CheckLogin(AccessView view, string? user, ulong? generation) =>
        view.IsKnown && user is not null && generation is not null && view.User(user)?.Generation != generation
            ? new HengeException(ErrorCode.Unauthenticated, $"The login of user '{user}' has been taken back. Log in again.")
            : null;

    /// <summary>Says why a user may not watch a range of keys; null when it may.</summary>
    public static HengeException? CheckWatch(AccessView view, string? user, WatchQuery query)
    {
        if (!view.IsKnown)
        {
            return NotKnown();
        }

        if (user is null)
        {
            return Nobody();
        }

        // What comes is what a read would see, so that it takes both.
        Permissions[] needed = [Permissions.Watch, Permissions.Read];
        foreach (Permissions permission in needed)
        {
            if (!view.Allows(user, permission, query.Lower.Span, query.Upper.Span))
            {
                return DeniedRange(user, permission, query.Lower, query.Upper);
            }
        }

        return null;
    }

    /// <summary>
    /// Says why a user may not change the cluster; null when it may. Goes by what the node knew last, where it knows nothing newer: who
    /// repairs a cluster that has lost its catalog must be let in.
    /// </summary>
    public static HengeException? CheckAdmin(AccessView view, string? user) =>
        !view.WasEnabled || (user is not null && view.IsAdmin(user)) ? null
        : !view.IsKnown ? NotKnown()
        : user is null ? Nobody()
        : new HengeException(ErrorCode.PermissionDenied, $"User '{user}' may not do that: it takes the permission admin.");

    /// <summary>Says why a user may not be told what is of no key, such as who is in the cluster; null when it may: any user may.</summary>
    public static HengeException? CheckKnown(AccessView view, string? user) =>
        !view.WasEnabled || (user is not null && view.User(user) is not null) ? null
        : !view.IsKnown ? NotKnown()
        : user is null ? Nobody()
        : Unknown(user);

    /// <summary>Says why a user may not read a page; null when it may.</summary>
    public static HengeException? CheckPage(AccessView view, string? user, PageFetch page)
    {
        if (!view.IsKnown || user is null)
        {
            return view.IsKnown ? Nobody() : NotKnown();
        }

        ReadOnlyMemory<byte> lower = page.Query.Lower;
        if (page.IsHistory)
        {
            return view.Allows(user, Permissions.Read, lower.Span) ? null : Denied(user, Permissions.Read, lower.Span);
        }

        return view.Allows(user, Permissions.Read, lower.Span, page.Query.Upper.Span)
            ? null
            : DeniedRange(user, Permissions.Read, lower, page.Query.Upper);
    }

    // All keys count, whichever branch of a transaction is taken in the end.
    private static HengeException? CheckCommand(AccessView view, string user, ReadOnlySpan<byte> encoded)
    {
        var judge = new Judge(view, user);
        return CommandKeys.Visit(encoded, ref judge)
            ? judge.Problem
            : judge.Problem ?? new HengeException(ErrorCode.InvalidArgument, "The command is not well formed.");
    }

    /// <summary>What a command that is no transaction takes for each of its keys.</summary>
    internal static Permissions Of(scoped in CommandView command)
    {
        Permissions own = OwnOf(command.Kind);

        // Conditions and answers tell of what was there.
        bool tells = command.Kind switch
        {
            CommandKind.Put or CommandKind.PutHash or CommandKind.Delete =>
                command.ReturnPrevious || command.Condition != PutCondition.None,
            CommandKind.SetExpiry => command.ReturnPrevious || command.ExpiryCondition != ExpiryCondition.None,
            CommandKind.MultiPut => command.IfAllAbsent,
            _ => false,
        };
        return tells ? own | Permissions.Read : own;
    }

#pragma warning disable CS8524 // A number that has no name does not come here. A name without a rule is an error (CS8509), as it should be.
    /// <summary>
    /// What each kind of command takes for each of its keys. What adds to a value or moves it gives away what was there, so that it takes
    /// the right to read as well. What only a node itself writes takes more than anybody has.
    /// </summary>
    internal static Permissions OwnOf(CommandKind kind) => kind switch
    {
        CommandKind.Put => Permissions.Write,
        CommandKind.PutHash => Permissions.Write,
        CommandKind.Delete => Permissions.Write,
        CommandKind.Get => Permissions.Read,
        CommandKind.Increment => Permissions.Read | Permissions.Write,
        CommandKind.IncrementFloat => Permissions.Read | Permissions.Write,
        CommandKind.Append => Permissions.Read | Permissions.Write,
        CommandKind.SetExpiry => Permissions.Write,
        CommandKind.MultiPut => Permissions.Write,
        CommandKind.MultiDelete => Permissions.Write,
        CommandKind.HashSet => Permissions.Write,
        CommandKind.HashDelete => Permissions.Write,
        CommandKind.HashIncrement => Permissions.Read | Permissions.Write,
        CommandKind.HashIncrementFloat => Permissions.Read | Permissions.Write,
        CommandKind.SetRange => Permissions.Read | Permissions.Write,
        CommandKind.SetBit => Permissions.Read | Permissions.Write,
        CommandKind.Move => Permissions.Read | Permissions.Write,
        CommandKind.Txn => Permissions.Read | Permissions.Write,
        CommandKind.DeleteExpired => Permissions.Read | Permissions.Write | Permissions.Admin,
    };
#pragma warning restore CS8524

    /// <summary>What is said while a node does not know yet who may do what.</summary>
    public static HengeException NotKnown() => new(
        ErrorCode.Unavailable,
        "This node has just started, and does not know yet who may do what. Nothing was done; try again.");

    private static HengeException Nobody() => new(
        ErrorCode.Unauthenticated,
        "This cluster asks who you are: give a user and a password, or a client certificate.");

    private static HengeException Unknown(string user) =>
        new(ErrorCode.PermissionDenied, $"There is no user '{user}' in this cluster.");

    private static HengeException Denied(string user, Permissions needed, ReadOnlySpan<byte> key) => new(
        ErrorCode.PermissionDenied,
        $"User '{user}' may not do that with {KeyRange.Key(key)}: it takes {Text(needed)}.");

    private static HengeException DeniedRange(
        string user,
        Permissions needed,
        ReadOnlyMemory<byte> lower,
        ReadOnlyMemory<byte> upper) => new(
        ErrorCode.PermissionDenied,
        $"User '{user}' may not do that with {KeyRange.Between(lower, upper)}: it takes {Text(needed)} for all of it.");

    private static string Text(Permissions permissions) =>
        permissions.ToString().ToLowerInvariant().Replace(", ", " and ", StringComparison.Ordinal);

    private struct Judge(AccessView view, string user) : ICommandKeyReceiver
    {
        public HengeException? Problem { get; private set; }

        public bool OnKey(CommandPart part, CommandKind kind, Permissions needed, ReadOnlySpan<byte> key)
        {
            if (!view.Allows(user, needed, key))
            {
                Problem = Denied(user, needed, key);
            }

            return Problem is null;
        }
    }
}

using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Node.StateMachine;

namespace Henge.Server.Audit;

/// <summary>Says in the audit log who read or wrote which keys, and what came of it. Never what was in them. Thread-safe.</summary>
/// <param name="log">Where it says it.</param>
/// <param name="options">Of which keys, and how often.</param>
/// <param name="draw">Gives a number from 0 up to one below its argument; null: a random one.</param>
internal sealed class KeyAudit(AuditLog log, AuditOptions options, Func<int, int>? draw = null)
{
    /// <summary>What stands for the user where there is none, or access is not checked.</summary>
    public const string Nobody = "nobody";

    private const string OfKey = "{User} {Operation} {Key}: {Outcome}";
    private const string OfRange = "{User} {Operation} {From} to {To}: {Outcome}";
    private readonly KeyRules _rules = new(options.Keys);

    /// <summary>An audit of keys, where the settings ask for one; else null.</summary>
    public static KeyAudit? Create(AuditLog? log, AuditOptions options) =>
        log is not null && options.Keys.Count > 0 ? new KeyAudit(log, options) : null;

    /// <summary>Whether to say what became of one operation, when not all are told of.</summary>
    private bool Takes(ErrorCode outcome) =>
        options.KeysSample == 1
        || outcome is ErrorCode.PermissionDenied or ErrorCode.Unauthenticated
        || (draw?.Invoke(options.KeysSample) ?? Random.Shared.Next(options.KeysSample)) == 0;

    /// <summary>Tells of an operation that has ended.</summary>
    public void Tell(AuditedCaller caller, Operation operation)
    {
        switch (operation.Kind)
        {
            case OperationKind.Get when _rules.Has(Permissions.Read, operation.Key.Span) && Takes(operation.Error):
                TellKey(caller, operation.Asker.User, "Get", CommandPart.Whole, operation.Key.Span, OutcomeOf(operation.Error));
                break;
            case OperationKind.Write when Takes(operation.Error):
                var keys = new WrittenKeys(this, caller, operation);
                CommandKeys.Visit(operation.Command.Span, ref keys);
                break;
            case OperationKind.Page when operation is { Page: { } page, Error: not ErrorCode.None }:
                // One that was fetched is read next, and told of then.
                TellPage(caller, operation.Asker.User, page, operation.Error);
                break;
            default:
                break;
        }
    }

    /// <summary>Tells of a page that was read, or was not.</summary>
    public void TellPage(AuditedCaller caller, string? user, PageFetch page, ErrorCode outcome)
    {
        ReadOnlySpan<byte> lower = page.Query.Lower.Span, upper = page.Query.Upper.Span;
        if (page.IsHistory)
        {
            if (_rules.Has(Permissions.Read, lower) && Takes(outcome))
            {
                TellKey(caller, user, "History", CommandPart.Whole, lower, OutcomeOf(outcome));
            }
        }
        else if (_rules.HasRange(lower, upper) && Takes(outcome))
        {
            TellRange(caller, user, "Scan", lower, upper, outcome);
        }
    }

    /// <summary>Tells of a watch that was opened, or was not. True: its end is told of too.</summary>
    public bool TellWatch(AuditedCaller caller, string? user, WatchQuery query, ErrorCode outcome)
    {
        bool tells = _rules.HasRange(query.Lower.Span, query.Upper.Span) && Takes(outcome);
        if (tells)
        {
            TellRange(caller, user, "Watch", query.Lower.Span, query.Upper.Span, outcome);
        }

        return tells;
    }

    /// <summary>Tells of a watch that has ended; with an error only when its user may not go on.</summary>
    public void TellWatchEnd(AuditedCaller caller, string? user, WatchQuery query, ErrorCode outcome) =>
        TellRange(caller, user, "WatchEnd", query.Lower.Span, query.Upper.Span, outcome);

    private void TellKey(
        AuditedCaller caller,
        string? user,
        string operation,
        CommandPart part,
        ReadOnlySpan<byte> key,
        string outcome)
    {
        (string, object?)[] fields =
        [
            ("User", user ?? Nobody),
            ("Address", caller.Address),
            ("Door", caller.Door),
            ("Operation", operation),
            ("Key", AuditText.Key(key)),
            ("Outcome", outcome),
        ];
        log.Take(
            new AuditLine("Key", OfKey, part == CommandPart.Whole ? fields : [.. fields, ("Part", part.ToString())]),
            isChange: false);
    }

    private void TellRange(
        AuditedCaller caller,
        string? user,
        string operation,
        ReadOnlySpan<byte> lower,
        ReadOnlySpan<byte> upper,
        ErrorCode outcome)
    {
        (string, object?)[] fields =
        [
            ("User", user ?? Nobody),
            ("Address", caller.Address),
            ("Door", caller.Door),
            ("Operation", operation),
            ("From", AuditText.Key(lower)),
            ("To", AuditText.Key(upper)),
            ("Outcome", OutcomeOf(outcome)),
        ];
        log.Take(new AuditLine("Range", OfRange, fields), isChange: false);
    }

    private static string OutcomeOf(ErrorCode code) => code == ErrorCode.None ? "Ok" : code.ToString();

    private readonly ref struct WrittenKeys : ICommandKeyReceiver
    {
        private readonly KeyAudit _audit;
        private readonly AuditedCaller _caller;
        private readonly Operation _operation;
        private readonly string _outcome;
        private readonly bool _wasDone;
        private readonly bool _held;

        public WrittenKeys(KeyAudit audit, AuditedCaller caller, Operation operation)
        {
            (_audit, _caller, _operation) = (audit, caller, operation);
            _outcome = OutcomeOf(operation.Error);
            if (
                operation.Error == ErrorCode.None
                && CommandResult.TryRead(operation.Version, operation.Result.Span, out CommandResult result, out _))
            {
                _outcome = result.Status switch
                {
                    CommandStatus.Ok => "Ok",
                    CommandStatus.ConditionFailed => nameof(CommandStatus.ConditionFailed),
                    _ => OutcomeOf(result.Error),
                };
                (_wasDone, _held) = (result.Status == CommandStatus.Ok, result.Succeeded);
            }
        }

        public bool OnKey(CommandPart part, CommandKind kind, Permissions needed, ReadOnlySpan<byte> key)
        {
            if (_audit._rules.Has(needed, key))
            {
                bool isLeftOut = _wasDone && part == (_held ? CommandPart.Otherwise : CommandPart.Then);
                string name = part == CommandPart.Compare ? "Compare" : kind.ToString();
                _audit.TellKey(_caller, _operation.Asker.User, name, part, key, isLeftOut ? "NotTaken" : _outcome);
            }

            return true;
        }
    }
}

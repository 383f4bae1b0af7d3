using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;

namespace Henge.Server.Resp.Wire;

/// <summary>Errors in Redis's words where Redis has them, so that its clients understand them.</summary>
internal static class RespErrors
{
    public const string Syntax = "ERR syntax error";
    public const string NotAnInteger = "ERR value is not an integer or out of range";
    public const string WrongType = "WRONGTYPE Operation against a key holding the wrong kind of value";
    public const string NoSuchKey = "ERR no such key";
    public const string NotAFloat = "ERR value is not a valid float";
    public const string NotFinite = "ERR increment would produce NaN or Infinity";
    public const string NestedMulti = "ERR MULTI calls can not be nested";
    public const string ExecWithoutMulti = "ERR EXEC without MULTI";
    public const string DiscardWithoutMulti = "ERR DISCARD without MULTI";
    public const string WatchInsideMulti = "ERR WATCH inside MULTI is not allowed";
    public const string ExecAborted = "EXECABORT Transaction discarded because of previous errors.";
    public const string CrossSlot = "CROSSSLOT Keys in request don't hash to the same slot";
    public const string NoPassword =
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?";

    public const string NoAuthentication = "NOAUTH Authentication required.";

    public const string IsHttp = "ERR Protocol error: this is an HTTP request, on a connection that speaks RESP";

    public const string WrongPassword = "WRONGPASS invalid username-password pair or user is disabled.";

    /// <summary>
    /// Whether a command's name is what lines of an HTTP request begin with. Somebody else's program was made to speak to the port then:
    /// as in Redis that ends the connection, before a line of the request's body is done as a command.
    /// </summary>
    public static bool LooksLikeHttp(ReadOnlySpan<byte> name) =>
        Ascii.EqualsIgnoreCase(name, "post"u8) || Ascii.EqualsIgnoreCase(name, "host:"u8);

    /// <summary>Most bytes of the values of one reply, where a small command could ask for the same large value again and again.</summary>
    public const int MostReplyBytes = 64 * 1024 * 1024;

    /// <summary>For a reply that would be over <see cref="MostReplyBytes"/>.</summary>
    public static string ReplyTooLarge(string what) => "ERR " + TooLarge(what);

    /// <summary>The same as an exception, where a reply is taken back that has begun.</summary>
    public static HengeException ReplyGrewTooLarge(string what) => new(ErrorCode.TooLarge, TooLarge(what));

    public static string WrongArity(string name) => $"ERR wrong number of arguments for '{name}' command";

    /// <summary>
    /// For a command with subcommands: <paramref name="known"/> are those that there are, for which only the number of arguments can be
    /// wrong.
    /// </summary>
    public static string Subcommand(RespArguments arguments, string command, params ReadOnlySpan<string> known)
    {
        if (arguments.Count < 2)
        {
            return WrongArity(command);
        }

        string asked = arguments.Text(1);
        foreach (string name in known)
        {
            if (name.Equals(asked, StringComparison.OrdinalIgnoreCase))
            {
                return WrongArity(command + "|" + name.ToLowerInvariant());
            }
        }

        return $"ERR unknown subcommand '{Clip(asked)}'. Try {command.ToUpperInvariant()} {string.Join(", ", known)}.";
    }

    public static string ChannelNameTooLong(int bytes, int limit) =>
        $"ERR the name of the channel has {bytes} bytes; at most {limit} are allowed (limit-key-bytes)";

    public static string InvalidExpiry(string name) => $"ERR invalid expire time in '{name}' command";

    public static string Unknown(RespArguments arguments)
    {
        var text = new StringBuilder("ERR unknown command '").Append(Clip(arguments.Text(0))).Append("', with args beginning with: ");
        for (int i = 1; i < arguments.Count && text.Length < 128; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"'{Clip(arguments.Text(i))}' ");
        }

        return text.ToString();
    }

    /// <summary>
    /// The reply for an operation that failed. A write that the state machine refused says why in its result, by number, so that Redis's
    /// words can be found for it.
    /// </summary>
    public static string Of(Operation failed) =>
        failed.Kind == OperationKind.Write
        && !failed.Result.IsEmpty
        && CommandResult.TryRead(failed.Version, failed.Result.Span, out CommandResult result, out _)
        && result.Problem != CommandProblem.None
            ? Of(in result)
            : Of(failed.Error, failed.ErrorMessage);

    /// <summary>The reply for an error and its message.</summary>
    public static string Of(ErrorCode code, string? message) => code switch
    {
        ErrorCode.CrossShard => CrossSlot,
        ErrorCode.Unavailable or ErrorCode.NotLeader => "CLUSTERDOWN " + message,
        ErrorCode.DeadlineExceeded => "TRYAGAIN " + message,
        ErrorCode.UnknownOutcome => "UNKNOWNOUTCOME " + message,
        ErrorCode.ResourceExhausted => "BUSY " + message,
        ErrorCode.DiskFull => "MISCONF " + message,
        ErrorCode.Stopping => "LOADING " + message,
        ErrorCode.Unauthenticated => "NOAUTH " + message,
        ErrorCode.PermissionDenied => "NOPERM " + message,
        _ => "ERR " + message,
    };

    /// <summary>The reply for a command that the state machine could not do.</summary>
    public static string Of(in CommandResult result) => result.Problem switch
    {
        CommandProblem.NotAnInteger => NotAnInteger,
        CommandProblem.IntegerOverflow => "ERR increment or decrement would overflow",
        CommandProblem.NotANumber => NotAFloat,
        CommandProblem.NumberOverflow => NotFinite,
        CommandProblem.WrongKind => WrongType,
        CommandProblem.HashValueNotAnInteger => "ERR hash value is not an integer",
        CommandProblem.HashValueNotANumber => "ERR hash value is not a float",
        CommandProblem.HashTooLarge => "ERR the hash would be larger than the limit of values allows; spread its fields over several keys",
        CommandProblem.ValueTooLarge => "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
        _ => Of(result.Error, result.ErrorMessage),
    };

    private static string TooLarge(string what) =>
        $"the reply would have more than {MostReplyBytes} bytes; ask for fewer {what} at once";

    private static string Clip(string text) => text.Length > 64 ? text[..64] : text;
}

using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Connections;

/// <summary>A command of the RESP door. Instances are shared by all connections and hold no state of theirs.</summary>
internal abstract class RespCommand(string name, int arity)
{
    /// <summary>Its name in lower case, as Redis tells it.</summary>
    public string Name => name;

    /// <summary>How many arguments, the name included; negative: at least so many.</summary>
    public int Arity => arity;

    /// <summary>
    /// Position of the first key, of the last (negative: from the end), and the step between them, as COMMAND tells them; 0: no keys.
    /// </summary>
    public (int First, int Last, int Step) Keys { get; init; }

    /// <summary>Its place in <see cref="RespCommandTable.All"/>.</summary>
    public int Index { get; set; }

    /// <summary>True for commands that may change data.</summary>
    public virtual bool Writes => false;

    /// <summary>True for commands that read or change keys, whichever way.</summary>
    public virtual bool TouchesKeys => Keys.First > 0 || OnKeySpace;

    /// <summary>True for commands on keys that do not name them as arguments: SCAN, KEYS, DBSIZE and their kin.</summary>
    public bool OnKeySpace { get; init; }

    /// <summary>True for what a connection with subscriptions may do in RESP2.</summary>
    public bool AllowedToSubscribers { get; init; }

    /// <summary>True for what a client may do that has not said who it is, where that is asked.</summary>
    public bool IsForStrangers { get; init; }

    /// <summary>The subcommands of a command that has only such; null: it has none, or looks at them itself.</summary>
    public string[]? Subcommands { get; init; }

    /// <summary>What is wrong when the number of arguments does not fit.</summary>
    public string ArityError(RespArguments arguments) =>
        Subcommands is { } known ? RespErrors.Subcommand(arguments, Name, known) : RespErrors.WrongArity(Name);

    /// <summary>True when the number of arguments fits.</summary>
    public bool Fits(int count) => arity >= 0 ? count == arity : count >= -arity;
}

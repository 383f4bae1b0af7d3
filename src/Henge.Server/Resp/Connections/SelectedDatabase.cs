using Henge.Server.Resp.Wire;


namespace Henge.Server.Resp.Connections;

/// <summary>
/// Which logical database a connection has selected. Henge has database 0 alone. Whoever selected another one means other data: many
/// clients go on after a refused SELECT, so every command on keys is refused from then on, until the connection selects database 0
/// (decision 0146).
/// </summary>
internal sealed class SelectedDatabase
{
    /// <summary>How many there are, as CONFIG GET databases tells it.</summary>
    public const int Count = 1;

    private const string OutOfRange = "ERR DB index is out of range";

    /// <summary>Its number.</summary>
    public long Number { get; private set; }

    /// <summary>Why a SELECT is refused; null: it is not.</summary>
    public static string? Problem(RespArguments arguments) =>
        !arguments.TryInteger(1, out long number) || number is < int.MinValue or > int.MaxValue ? RespErrors.NotAnInteger
        : number is < 0 or >= Count ? OutOfRange
        : null;

    /// <summary>Takes note of a SELECT, refused or not.</summary>
    public void Select(RespArguments arguments) => Number = arguments.TryInteger(1, out long number) ? number : Number;

    /// <summary>Back to database 0, for RESET.</summary>
    public void Reset() => Number = 0;

    /// <summary>Why a command is refused; null: it is not.</summary>
    public string? Refuse(RespCommand command) =>
        Number != 0 && command.TouchesKeys
            ? $"ERR '{command.Name}' was not done: this connection selected database {Number}, and there is only database 0. Use SELECT 0, "
                + $"or remove the database from the client's settings"
            : null;
}

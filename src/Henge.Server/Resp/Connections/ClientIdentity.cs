namespace Henge.Server.Resp.Connections;

/// <summary>
/// What a client says of itself (CLIENT SETNAME and SETINFO, HELLO SETNAME). It is shown in lists of one line a client, so it may hold no
/// blanks and no line breaks.
/// </summary>
internal sealed class ClientIdentity
{
    /// <summary>The reply to a name that is refused, in Redis's words.</summary>
    public const string WrongName = "ERR Client names cannot contain spaces, newlines or special characters.";

    /// <summary>The name of the connection; empty: none.</summary>
    public string Name { get; set; } = "";

    /// <summary>The name of the client's library; empty: unknown.</summary>
    public string LibraryName { get; set; } = "";

    /// <summary>The version of the client's library; empty: unknown.</summary>
    public string LibraryVersion { get; set; } = "";

    /// <summary>True for text that may stand in a line of CLIENT LIST: printable ASCII without blanks, or nothing.</summary>
    public static bool IsName(ReadOnlySpan<byte> text) => !text.ContainsAnyExceptInRange((byte)'!', (byte)'~');
}

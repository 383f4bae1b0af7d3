using System.Globalization;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Commands;

/// <summary>CLIENT: what a connection is told about itself, and what it says of itself.</summary>
internal static class ClientCommand
{
    public static void Run(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        string name = arguments.Text(1).ToLowerInvariant();
        int count = name switch { "id" or "getname" or "info" => 2, "setname" or "no-evict" or "no-touch" => 3, "setinfo" => 4, _ => 0 };
        if (count != 0 && arguments.Count != count)
        {
            writer.Error(RespErrors.WrongArity("client|" + name));
            return;
        }

        switch (name)
        {
            case "id":
                writer.Integer(connection.Id);
                break;
            case "getname":
                WriteName(connection.Client.Name, writer);
                break;
            case "setname":
                SetName(connection.Client, arguments, writer);
                break;
            case "setinfo":
                SetInfo(connection.Client, arguments, writer);
                break;
            case "no-evict" or "no-touch":
                Switch(arguments, writer);
                break;
            case "info" or "list":
                writer.Verbatim(About(connection, writer));
                break;
            default:
                writer.Error($"ERR unknown subcommand '{arguments.Text(1)}'. Try CLIENT HELP.");
                break;
        }
    }

    private static string About(RespConnection connection, RespWriter writer) =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"id={connection.Id} addr={connection.RemoteAddress} name={connection.Client.Name} db={connection.Database.Number} "
                + $"resp={writer.Protocol}"
                + $" lib-name={connection.Client.LibraryName} lib-ver={connection.Client.LibraryVersion}\n");

    private static void WriteName(string name, RespWriter writer)
    {
        if (name.Length == 0)
        {
            writer.Null();
        }
        else
        {
            writer.Bulk(name);
        }
    }

    private static void SetName(ClientIdentity client, RespArguments arguments, RespWriter writer)
    {
        if (!ClientIdentity.IsName(arguments.Span(2)))
        {
            writer.Error(ClientIdentity.WrongName);
            return;
        }

        client.Name = arguments.Text(2);
        writer.Ok();
    }

    /// <summary>CLIENT SETINFO LIB-NAME | LIB-VER text, as Redis 7.2 has it.</summary>
    private static void SetInfo(ClientIdentity client, RespArguments arguments, RespWriter writer)
    {
        bool name = arguments.Is(2, "LIB-NAME"u8);
        if (!name && !arguments.Is(2, "LIB-VER"u8))
        {
            writer.Error($"ERR Unrecognized option '{arguments.Text(2)}'");
        }
        else if (!ClientIdentity.IsName(arguments.Span(3)))
        {
            writer.Error($"ERR {(name ? "lib-name" : "lib-ver")} cannot contain spaces, newlines or special characters.");
        }
        else
        {
            client.LibraryName = name ? arguments.Text(3) : client.LibraryName;
            client.LibraryVersion = name ? client.LibraryVersion : arguments.Text(3);
            writer.Ok();
        }
    }

    // Nobody is evicted here, and nothing is touched by being read: only the words are checked.
    private static void Switch(RespArguments arguments, RespWriter writer)
    {
        if (arguments.Is(2, "ON"u8) || arguments.Is(2, "OFF"u8))
        {
            writer.Ok();
        }
        else
        {
            writer.Error(RespErrors.Syntax);
        }
    }
}

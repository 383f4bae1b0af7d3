using Henge.Core;
using Henge.Node.Access;
using Henge.Server.Access;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Commands;

/// <summary>
/// AUTH [user] password. Without a name it is <c>root</c>, as Redis' first user is <c>default</c>. A token is given in the place of the
/// password. Where access is not checked, as a Redis without passwords: the user <c>default</c> may have any, and there is no other.
/// </summary>
internal static class AuthCommand
{
    public static async ValueTask RunAsync(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        if (arguments.Count is not (2 or 3))
        {
            writer.Error(RespErrors.Syntax);
        }
        else if (arguments.Count == 2 && !connection.Services.AsksWho)
        {
            writer.Error(RespErrors.NoPassword);
        }
        else if (await LogInAsync(connection, arguments, arguments.Count - 2) is { } problem)
        {
            writer.Error(problem);
        }
        else
        {
            writer.Ok();
        }
    }

    /// <summary>
    /// Logs the client in by the user at an index and the password behind it; at index 0 there is no user. Returns what to reply when that
    /// failed: who was logged in before stays so, as in Redis.
    /// </summary>
    public static async ValueTask<string?> LogInAsync(RespConnection connection, RespArguments arguments, int index)
    {
        string user = index == 0 ? AccessNames.Root : arguments.Text(index);
        if (!connection.Services.AsksWho)
        {
            return user == "default" ? null : RespErrors.WrongPassword;
        }

        user = user == "default" ? AccessNames.Root : user;
        string password = arguments.Text(index + 1);
        Logins logins = connection.Services.Logins!;
        try
        {
            if (logins.Tokens.IsOwn(password))
            {
                Login login = await logins.ByTokenAsync(password, connection.RemoteEndPoint);
                if (index != 0 && login.User != user)
                {
                    return RespErrors.WrongPassword;
                }

                connection.LogIn(login);
                return null;
            }

            connection.LogIn(await logins.ByPasswordAsync(user, password, connection.RemoteEndPoint));
            return null;
        }
        catch (HengeException e)
        {
            return e.Code == ErrorCode.Unauthenticated ? RespErrors.WrongPassword : RespErrors.Of(e.Code, e.Message);
        }
    }
}

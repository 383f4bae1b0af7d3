using Henge.Node.Access;
using Henge.Node.Api;

namespace Henge.Server.Access;

/// <summary>
/// Whoever is at the other end of a connection, or makes a call: nobody, until it has logged in. Thread-safe.
/// </summary>
internal sealed class Caller
{
    private Login? _login;

    /// <summary>Creates it.</summary>
    /// <param name="login">What is known already; null: nothing.</param>
    public Caller(Login? login = null) => _login = login;

    /// <summary>What it has proved last; null: nothing.</summary>
    public Login? Login
    {
        get => Volatile.Read(ref _login);
        set => Volatile.Write(ref _login, value);
    }

    /// <summary>True for a node of the cluster.</summary>
    public bool IsNode => Login is { IsNode: true };

    /// <summary>The user that it is now; null: nobody.</summary>
    public string? UserIn(AccessView view) => Login?.UserIn(view);

    /// <summary>Who asks, as an operation or a watch says it.</summary>
    public Asker ToAsker(AccessView view) =>
        Login is { } login ? new Asker(login.UserIn(view), login.Generation, view.Revision) : new Asker(null, null, view.Revision);
}

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

    /// <summary>Who asks, by a view.</summary>
    public Asker ToAsker(AccessView view) => Login is { } login ? new Asker(login.UserIn(view), login.Generation, null) : default;

    /// <summary>Says in an operation who asks for it; returns the user, null for nobody.</summary>
    public string? Sign(Operation operation, AccessView view)
    {
        Login? login = Login;
        operation.UserGeneration = login?.Generation;
        return operation.User = login?.UserIn(view);
    }
}

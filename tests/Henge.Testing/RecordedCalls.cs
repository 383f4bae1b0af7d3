using System.Reflection;

namespace Henge.Testing;

/// <summary>Implements any interface whose methods return nothing: hands each call, with its arguments, to one function.</summary>
public class RecordedCalls : DispatchProxy
{
    private Action<string, object?[]> _onCall = static (_, _) => { };

    /// <summary>An implementation of <typeparamref name="T"/>; the function gets the name of each method and its arguments.</summary>
    public static T Create<T>(Action<string, object?[]> onCall)
        where T : class
    {
        T proxy = Create<T, RecordedCalls>();
        ((RecordedCalls)(object)proxy)._onCall = onCall;
        return proxy;
    }

    /// <inheritdoc/>
    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
    {
        _onCall(targetMethod!.Name, args ?? []);
        return null;
    }
}

using System.Collections;
using System.Reflection;
using System.Runtime.Loader;

namespace Henge.Mutation;

/// <summary>
/// One test with its arguments, run within this process: facts, properties, theories with rows that are inline or of a member. (A runner of
/// the test platform takes half a second to begin; a mutant is often dead after a millisecond.)
/// </summary>
internal sealed class TestCase
{
    private readonly Type _class;
    private readonly MethodInfo _method;
    private readonly object?[] _arguments;
    private readonly bool _isProperty;

    private TestCase(Type type, MethodInfo method, object?[] row)
    {
        _isProperty = IsProperty(method);
        (_class, _method, _arguments) = (type, method, _isProperty ? [] : Converted(method, row));
        Name = $"{type.Name}.{method.Name}({string.Join(", ", _arguments)})";
    }

    /// <summary>Class, method and arguments.</summary>
    public string Name { get; }

    /// <summary>How long it took when nothing was changed.</summary>
    public TimeSpan Time { get; set; }

    /// <summary>The mutants whose code it runs.</summary>
    public bool[] Reached { get; set; } = [];

    /// <summary>All tests of an assembly but those of some classes.</summary>
    public static IEnumerable<TestCase> FindAll(Assembly assembly, IReadOnlyList<string> withoutClasses) =>
        assembly.GetTypes()
            .Where(type => type is { IsClass: true, IsAbstract: false, IsPublic: true } && !withoutClasses.Contains(type.Name))
            .SelectMany(static type => type.GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static)
                .SelectMany(method => Rows(type, method).Select(row => new TestCase(type, method, row))));

    /// <summary>Runs it; what a test throws is what it fails by.</summary>
    public void Run()
    {
        object? instance = _method.IsStatic ? null : Activator.CreateInstance(_class);
        try
        {
            if (_isProperty)
            {
                CheckProperty(instance);
                return;
            }

            switch (_method.Invoke(instance, BindingFlags.DoNotWrapExceptions, null, _arguments, null))
            {
                case Task task:
                    task.GetAwaiter().GetResult();
                    break;
                case ValueTask task:
                    task.AsTask().GetAwaiter().GetResult();
                    break;
                default:
                    break;
            }
        }
        finally
        {
            (instance as IDisposable)?.Dispose();
        }
    }

    private static bool IsProperty(MethodInfo method) =>
        method.CustomAttributes.Any(static attribute => attribute.AttributeType.Name == "PropertyAttribute");

    /// <summary>By FsCheck, in the version that the tests have.</summary>
    private void CheckProperty(object? instance)
    {
        Assembly fsCheck = AssemblyLoadContext.GetLoadContext(_class.Assembly)!.LoadFromAssemblyName(new AssemblyName("FsCheck"));
        object config = fsCheck.GetType("FsCheck.Config")!.GetProperty("QuickThrowOnFailure")!.GetValue(null)!;
        MethodInfo check = fsCheck.GetType("FsCheck.Check")!.GetMethod("Method")!;
        object? target = check.GetParameters()[2].ParameterType.GetMethod("Some")!.Invoke(null, [instance]);
        check.Invoke(null, BindingFlags.DoNotWrapExceptions, null, [config, _method, target], null);
    }

    private static IEnumerable<object?[]> Rows(Type type, MethodInfo method)
    {
        foreach (CustomAttributeData attribute in method.CustomAttributes)
        {
            switch (attribute.AttributeType.Name)
            {
                case "FactAttribute" or "PropertyAttribute":
                    yield return [];
                    break;
                case "InlineDataAttribute":
                    yield return [.. ((IEnumerable<CustomAttributeTypedArgument>)attribute.ConstructorArguments[0].Value!).Select(Value)];
                    break;
                case "MemberDataAttribute":
                    foreach (object? row in Member(type, (string)attribute.ConstructorArguments[0].Value!))
                    {
                        yield return row as object?[] ?? Cells(row!);
                    }

                    break;
                default:
                    break;
            }
        }
    }

    private static object?[] Cells(object row) =>
        (object?[])row.GetType().GetInterface("ITheoryDataRow")!.GetMethod("GetData")!.Invoke(row, [])!;

    private static IEnumerable Member(Type type, string name) =>
        (IEnumerable)(type.GetProperty(name, BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)?.GetValue(null)
            ?? type.GetMethod(name, BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)!.Invoke(null, [])!);

    private static object? Value(CustomAttributeTypedArgument argument) => argument.Value switch
    {
        IReadOnlyCollection<CustomAttributeTypedArgument> array => Array(argument.ArgumentType.GetElementType()!, array),
        { } value when argument.ArgumentType.IsEnum => Enum.ToObject(argument.ArgumentType, value),
        var value => value,
    };

    private static Array Array(Type element, IReadOnlyCollection<CustomAttributeTypedArgument> values)
    {
        var array = System.Array.CreateInstance(element, values.Count);
        int i = 0;
        foreach (CustomAttributeTypedArgument value in values)
        {
            array.SetValue(Value(value), i++);
        }

        return array;
    }

    /// <summary>Arguments as the parameters are: numbers widened, those of <c>params</c> gathered, those left out filled in.</summary>
    private static object?[] Converted(MethodInfo method, object?[] row)
    {
        ParameterInfo[] parameters = method.GetParameters();
        object?[] converted = new object?[parameters.Length];
        for (int i = 0; i < parameters.Length; i++)
        {
            Type type = parameters[i].ParameterType;
            if (parameters[i].IsDefined(typeof(ParamArrayAttribute)) && !(row.Length == parameters.Length && type.IsInstanceOfType(row[i])))
            {
                var rest = System.Array.CreateInstance(type.GetElementType()!, Math.Max(0, row.Length - i));
                System.Array.Copy(row, i, rest, 0, rest.Length);
                converted[i] = rest;
            }
            else
            {
                object? value = i < row.Length ? row[i] : parameters[i].DefaultValue;
                Type wanted = Nullable.GetUnderlyingType(type) ?? type;
                converted[i] = value is IConvertible && wanted.IsPrimitive && value.GetType() != wanted
                    ? Convert.ChangeType(value, wanted, System.Globalization.CultureInfo.InvariantCulture)
                    : value;
            }
        }

        return converted;
    }
}

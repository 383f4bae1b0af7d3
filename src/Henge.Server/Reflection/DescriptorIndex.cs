using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace Henge.Server.Reflection;

/// <summary>
/// Files and symbols of what the server serves, from the descriptors in the generated code. Services under a second name (<c>kvstore.KVStore</c>) get
/// a file made up for them. Immutable, thread-safe.
/// </summary>
internal sealed class DescriptorIndex
{
    private readonly Dictionary<string, File> _files = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _fileOfSymbol = new(StringComparer.Ordinal);

    public DescriptorIndex(IEnumerable<(string Name, ServiceDescriptor Descriptor)> services)
    {
        List<string> names = [];
        foreach ((string name, ServiceDescriptor descriptor) in services)
        {
            names.Add(name);
            Add(descriptor.File);
            if (name != descriptor.FullName)
            {
                AddAlias(name, descriptor);
            }
        }

        names.Sort(StringComparer.Ordinal);
        Services = names;
    }

    /// <summary>Full names of the services, in order.</summary>
    public IReadOnlyList<string> Services { get; }

    /// <summary>A file and all that it imports, itself first; null when it is not known.</summary>
    public IReadOnlyList<ByteString>? FindFile(string fileName)
    {
        if (!_files.ContainsKey(fileName))
        {
            return null;
        }

        List<ByteString> found = [];
        HashSet<string> seen = new(StringComparer.Ordinal);
        Queue<string> open = new([fileName]);
        while (open.TryDequeue(out string? next))
        {
            if (seen.Add(next))
            {
                File file = _files[next];
                found.Add(file.Serialized);
                foreach (string import in file.Imports)
                {
                    open.Enqueue(import);
                }
            }
        }

        return found;
    }

    /// <summary>The file that defines a symbol; null when it is not known.</summary>
    public string? FindSymbol(string symbol) => _fileOfSymbol.GetValueOrDefault(symbol);

    /// <summary>True when a message type of this name is known.</summary>
    public bool IsSymbol(string symbol) => _fileOfSymbol.ContainsKey(symbol);

    private void Add(FileDescriptor file)
    {
        if (!_files.TryAdd(file.Name, new File(file.SerializedData, [.. file.Dependencies.Select(d => d.Name)])))
        {
            return;
        }

        foreach (FileDescriptor import in file.Dependencies)
        {
            Add(import);
        }

        foreach (MessageDescriptor message in file.MessageTypes)
        {
            Add(message, file.Name);
        }

        foreach (EnumDescriptor type in file.EnumTypes)
        {
            Add(type, file.Name);
        }

        foreach (ServiceDescriptor service in file.Services)
        {
            _fileOfSymbol[service.FullName] = file.Name;
            foreach (MethodDescriptor method in service.Methods)
            {
                _fileOfSymbol[method.FullName] = file.Name;
            }
        }
    }

    private void Add(MessageDescriptor message, string fileName)
    {
        _fileOfSymbol[message.FullName] = fileName;
        foreach (FieldDescriptor field in message.Fields.InDeclarationOrder())
        {
            _fileOfSymbol[field.FullName] = fileName;
        }

        foreach (OneofDescriptor oneof in message.Oneofs)
        {
            _fileOfSymbol[oneof.FullName] = fileName;
        }

        foreach (MessageDescriptor nested in message.NestedTypes)
        {
            Add(nested, fileName);
        }

        foreach (EnumDescriptor type in message.EnumTypes)
        {
            Add(type, fileName);
        }
    }

    private void Add(EnumDescriptor type, string fileName)
    {
        _fileOfSymbol[type.FullName] = fileName;
        string scope = type.FullName[..(type.FullName.LastIndexOf('.') + 1)];
        foreach (EnumValueDescriptor value in type.Values)
        {
            // Values live in the scope around their enum, as in C++.
            _fileOfSymbol[scope + value.Name] = fileName;
        }
    }

    private void AddAlias(string name, ServiceDescriptor descriptor)
    {
        int dot = name.LastIndexOf('.');
        string fileName = name.Replace('.', '/') + ".proto";
        ServiceDescriptorProto service = descriptor.ToProto().Clone();
        service.Name = name[(dot + 1)..];
        FileDescriptorProto file = new()
        {
            Name = fileName,
            Package = name[..dot],
            Syntax = "proto3",
            Dependency = { descriptor.File.Name },
            Service = { service },
        };
        _files[fileName] = new File(file.ToByteString(), [descriptor.File.Name]);
        _fileOfSymbol[name] = fileName;
        foreach (MethodDescriptor method in descriptor.Methods)
        {
            _fileOfSymbol[$"{name}.{method.Name}"] = fileName;
        }
    }

    private sealed record File(ByteString Serialized, IReadOnlyList<string> Imports);
}

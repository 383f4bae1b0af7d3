using System.Text;

namespace Henge.Client;

/// <summary>What an operation of a transaction does.</summary>
public enum TransactionOperationKind
{
    /// <summary>Reads a key.</summary>
    Get = 1,

    /// <summary>Writes a key.</summary>
    Put = 2,

    /// <summary>Deletes a key.</summary>
    Delete = 3,
}

/// <summary>One operation of a transaction. Operations see what those before them did.</summary>
public sealed record TransactionOperation
{
    private TransactionOperation(TransactionOperationKind kind, ReadOnlyMemory<byte> key)
    {
        Kind = kind;
        Key = key;
    }

    /// <summary>What it does.</summary>
    public TransactionOperationKind Kind { get; }

    /// <summary>The key.</summary>
    public ReadOnlyMemory<byte> Key { get; }

    /// <summary>For puts: the value.</summary>
    public ReadOnlyMemory<byte> Value { get; private init; }

    internal PutOptions? PutOptions { get; private init; }

    internal DeleteOptions? DeleteOptions { get; private init; }

    /// <summary>Reads a key.</summary>
    public static TransactionOperation Get(ReadOnlyMemory<byte> key) => new(TransactionOperationKind.Get, key);

    /// <summary>Reads a key.</summary>
    public static TransactionOperation Get(string key) => Get(Encoding.UTF8.GetBytes(key));

    /// <summary>Writes a key. Conditions belong into comparisons: <see cref="PutOptions.IfVersion"/> must be null.</summary>
    public static TransactionOperation Put(ReadOnlyMemory<byte> key, ReadOnlyMemory<byte> value, PutOptions? options = null)
    {
        if (options?.IfVersion is not null)
        {
            throw new ArgumentException(
                "A put inside a transaction has no condition of its own; say it with When(Compare.Version(…)).",
                nameof(options));
        }

        return new(TransactionOperationKind.Put, key) { Value = value, PutOptions = options };
    }

    /// <summary>Writes a key.</summary>
    public static TransactionOperation Put(string key, string value, PutOptions? options = null) =>
        Put(Encoding.UTF8.GetBytes(key), Encoding.UTF8.GetBytes(value), options);

    /// <summary>Deletes a key. Conditions belong into comparisons: <see cref="DeleteOptions.IfVersion"/> must be null.</summary>
    public static TransactionOperation Delete(ReadOnlyMemory<byte> key, DeleteOptions? options = null)
    {
        if (options?.IfVersion is not null)
        {
            throw new ArgumentException(
                "A delete inside a transaction has no condition of its own; say it with When(Compare.Version(…)).",
                nameof(options));
        }

        return new(TransactionOperationKind.Delete, key) { DeleteOptions = options };
    }

    /// <summary>Deletes a key.</summary>
    public static TransactionOperation Delete(string key) => Delete(Encoding.UTF8.GetBytes(key));
}

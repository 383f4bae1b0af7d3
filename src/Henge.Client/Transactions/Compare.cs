using System.Text;

namespace Henge.Client;

/// <summary>How a comparison compares. The numbers are on the wire.</summary>
public enum CompareRelation
{
    /// <summary>Equal.</summary>
    Equal = 0,

    /// <summary>Not equal.</summary>
    NotEqual = 1,

    /// <summary>Less: what is stored comes before what is given.</summary>
    Less = 2,

    /// <summary>Greater: what is stored comes after what is given.</summary>
    Greater = 3,
}

/// <summary>One comparison of a transaction.</summary>
public sealed record Compare
{
    private Compare(ReadOnlyMemory<byte> key, CompareRelation relation)
    {
        Key = key;
        Relation = relation;
    }

    /// <summary>The key whose state is compared.</summary>
    public ReadOnlyMemory<byte> Key { get; }

    /// <summary>How.</summary>
    public CompareRelation Relation { get; }

    internal Core.Version? VersionTarget { get; private init; }

    internal ReadOnlyMemory<byte>? ValueTarget { get; private init; }

    internal bool? ExistsTarget { get; private init; }

    /// <summary>Holds when the key exists.</summary>
    public static Compare Exists(ReadOnlyMemory<byte> key) => new(key, CompareRelation.Equal) { ExistsTarget = true };

    /// <summary>Holds when the key exists.</summary>
    public static Compare Exists(string key) => Exists(Encoding.UTF8.GetBytes(key));

    /// <summary>Holds when the key does not exist.</summary>
    public static Compare NotExists(ReadOnlyMemory<byte> key) => new(key, CompareRelation.Equal) { ExistsTarget = false };

    /// <summary>Holds when the key does not exist.</summary>
    public static Compare NotExists(string key) => NotExists(Encoding.UTF8.GetBytes(key));

    /// <summary>Compares the version that wrote the key (zero: does not exist).</summary>
    public static Compare Version(ReadOnlyMemory<byte> key, CompareRelation relation, Core.Version version) =>
        new(key, relation) { VersionTarget = version };

    /// <summary>Holds when the key is at this version (zero: does not exist).</summary>
    public static Compare Version(string key, Core.Version version) => Version(Encoding.UTF8.GetBytes(key), CompareRelation.Equal, version);

    /// <summary>Compares the value, bytewise.</summary>
    public static Compare Value(ReadOnlyMemory<byte> key, CompareRelation relation, ReadOnlyMemory<byte> value) =>
        new(key, relation) { ValueTarget = value };

    /// <summary>Holds when the key has this value.</summary>
    public static Compare Value(string key, string value) =>
        Value(Encoding.UTF8.GetBytes(key), CompareRelation.Equal, Encoding.UTF8.GetBytes(value));
}

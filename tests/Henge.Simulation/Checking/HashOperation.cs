using System.Text;
using Henge.Node.StateMachine;
using Henge.Simulation.World;
using Henge.Storage;

namespace Henge.Simulation.Checking;

/// <summary>What a client of hashes did to a key.</summary>
internal enum HashAction : byte
{
    /// <summary>HSET.</summary>
    Set,
    /// <summary>HSETNX.</summary>
    SetAbsent,
    /// <summary>HINCRBY.</summary>
    Increment,
    /// <summary>HDEL.</summary>
    DeleteFields,
    /// <summary>SET: a plain value.</summary>
    Put,
    /// <summary>SET GET: a plain value, which must find no hash.</summary>
    PutForPrevious,
    /// <summary>PEXPIRE.</summary>
    Expire,
    /// <summary>DEL.</summary>
    DeleteKey,
}

/// <summary>How it ended for its client.</summary>
internal enum HashOutcome : byte
{
    /// <summary>Nobody knows: it may have taken effect, once.</summary>
    Unknown,
    /// <summary>Its result was told.</summary>
    Told,
    /// <summary>The cluster said that nothing was done.</summary>
    Refused,
}

/// <summary>A write to a key of hashes.</summary>
internal sealed class HashOperation
{
    public required int Client { get; init; }

    public required string Key { get; init; }

    /// <summary>When it was called, and when it returned: rising numbers.</summary>
    public required long Call { get; init; }

    public long Return { get; set; } = long.MaxValue;

    public HashAction Action { get; set; }

    /// <summary>Fields with values; of a plain value only the value.</summary>
    public List<(string Field, string Value)> Pairs { get; } = [];

    /// <summary>What is added; for <see cref="HashAction.Expire"/> the milliseconds to live.</summary>
    public long Difference { get; set; }

    public HashOutcome Outcome { get; set; }

    /// <summary>What was told.</summary>
    public CommandResult Result { get; set; }

    /// <summary>True when what it leaves behind says that it did it, and nobody else.</summary>
    public bool IsUnique => Action is not (HashAction.DeleteFields or HashAction.Expire or HashAction.DeleteKey);

    public override string ToString()
    {
        string end = Outcome == HashOutcome.Unknown ? "?" : $"{Return}";
        return $"[{Call}..{end}] client {Client}: {Action} {Key} {string.Join(' ', Pairs)} {Difference} -> {Outcome} {Result}";
    }
}

/// <summary>A read of a key of hashes; no version: there was nothing.</summary>
internal sealed record HashRead(string Key, long Call, long Return, HashContent Content, ulong Version);

/// <summary>What such a key holds: nothing, a plain value, or fields in their order. Compared by its text.</summary>
internal readonly record struct HashContent(string? Text)
{
    private const char FieldMark = '\u0001', ValueMark = '\u0002';

    public bool Exists => Text is not null;

    public bool IsHash => Text?.StartsWith(FieldMark) ?? false;

    public static HashContent Plain(string value) => new(value);

    public static HashContent Hash(IReadOnlyList<(string Field, string Value)> fields) =>
        fields.Count == 0 ? default : new(string.Concat(fields.Select(static f => $"{FieldMark}{f.Field}{ValueMark}{f.Value}")));

    /// <summary>A stored value. Throws <see cref="SimulationException"/> for what no hash is stored as.</summary>
    public static HashContent Of(ReadOnlySpan<byte> value, DataType type)
    {
        if (type == DataType.Bytes)
        {
            Clients.SimValue.NumberOf(value);
            return Plain(Encoding.ASCII.GetString(value));
        }

        if (!HashReader.IsWellFormed(value))
        {
            throw new SimulationException($"A hash is stored as {Convert.ToHexString(value)}, which is none: no fields, or no sense.");
        }

        var fields = new List<(string, string)>();
        for (var reader = new HashReader(value); reader.MoveNext();)
        {
            fields.Add((Encoding.ASCII.GetString(reader.Field), Encoding.ASCII.GetString(reader.Value)));
        }

        return Hash(fields);
    }

    public List<(string Field, string Value)> Fields() =>
        IsHash ? [.. Text!.Split(FieldMark)[1..].Select(static f => (f.Split(ValueMark)[0], f.Split(ValueMark)[1]))] : [];

    public override string ToString() => Text is null ? "nothing"
        : IsHash ? "{" + string.Join(", ", Fields().Select(static f => $"{f.Field}={f.Value}")) + "}"
        : Text;
}

using System.Globalization;
using Henge.Core;
using Henge.Node.StateMachine;
using static Henge.Node.Tests.StateMachine.MachineHarness;

namespace Henge.Node.Tests.StateMachine;

/// <summary>What commands mean, written a second time in the plainest way: a dictionary, and a log of what every command did.</summary>
internal sealed class CommandModel
{
    internal sealed record Value(string Text, ulong Version, long ExpiresAtMs);

    internal sealed record Event(string Key, string? Text, ulong Version, string? Before);

    /// <summary>A command: its bytes, and what it does to a model.</summary>
    internal sealed record Step(byte[] Bytes, Func<CommandModel, ulong, string> Do);

    private readonly SortedDictionary<string, Value> _values = new(StringComparer.Ordinal);

    /// <summary>What is visible at a version.</summary>
    public SortedDictionary<string, Value> Visible(Core.Version version) =>
        new(
            _values.Where(p => p.Value.ExpiresAtMs == 0 || p.Value.ExpiresAtMs > version.Milliseconds).ToDictionary(),
            StringComparer.Ordinal);

    public Value? Get(string key, ulong version) =>
        _values.TryGetValue(key, out Value? v) && (v.ExpiresAtMs == 0 || v.ExpiresAtMs > new Core.Version(version).Milliseconds) ? v : null;

    public void Set(string key, string text, ulong version, long expiresAtMs)
    {
        if (expiresAtMs != 0 && expiresAtMs <= new Core.Version(version).Milliseconds)
        {
            Remove(key);
            return;
        }

        _values[key] = new Value(text, version, expiresAtMs);
    }

    public void Remove(string key) => _values.Remove(key);

    /// <summary>The result of a command as text, for comparison with the model's.</summary>
    public static string Describe(CommandResult r, ReadOnlySpan<byte> payload)
    {
        string text = string.Create(CultureInfo.InvariantCulture, $"{r.Status} {r.Version} {r.Found} {r.Number} {r.Problem}");
        return EntryView.TryRead(payload, out EntryView e) ? $"{text} [{e.Version} {e.ExpiresAtMs} {Text(e.Value)}]" : text;
    }

    private static string Ok(ulong version, bool found = false, long number = 0, Value? before = null) =>
        Describe("Ok", version, found, number, "None", before);

    private static string Describe(string status, ulong version, bool found, long number, string problem, Value? before) =>
        string.Create(CultureInfo.InvariantCulture, $"{status} {version} {found} {number} {problem}")
        + (before is null ? "" : $" [{before.Version} {before.ExpiresAtMs} {before.Text}]");

    /// <summary>A random command over few keys, with all conditions and options.</summary>
    public static Step Random(Random random, SessionStamp session = default)
    {
        string key = "k" + random.Next(8);
        string text =
            random.Next(4) == 0
                ? random.Next(100).ToString(CultureInfo.InvariantCulture)
                : new string((char)('a' + random.Next(26)), random.Next(1, 20));
        switch (random.Next(10))
        {
            case 0 or 1 or 2:
                return RandomPut(random, key, text, session);
            case 3:
                bool returnPrevious = random.Next(2) == 0;
                return new Step(Delete(key, null, returnPrevious, session), (m, v) =>
                {
                    Value? before = m.Get(key, v);
                    m._values.Remove(before is null ? "" : key);
                    return Ok(v, before is not null, 0, returnPrevious ? before : null);
                });
            case 4:
                long by = random.Next(-5, 50);
                return new Step(Command(w => CommandEncoder.Increment(w, Bytes(key), by, session)), (m, v) =>
                {
                    Value? before = m.Get(key, v);
                    if (!long.TryParse(before?.Text ?? "0", NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long n)
                        || n.ToString(CultureInfo.InvariantCulture) != (before?.Text ?? "0"))
                    {
                        return Describe("Failed", v, false, 0, "NotAnInteger", null);
                    }

                    m.Set(key, (n + by).ToString(CultureInfo.InvariantCulture), v, before?.ExpiresAtMs ?? 0);
                    return Ok(v, false, n + by);
                });
            case 5:
                return new Step(Command(w => CommandEncoder.Append(w, Bytes(key), Bytes(text), 40, session)), (m, v) =>
                {
                    Value? before = m.Get(key, v);
                    string whole = before?.Text + text;
                    if (whole.Length > 40)
                    {
                        return Describe("Failed", v, false, 0, "ValueTooLarge", null);
                    }

                    m.Set(key, whole, v, before?.ExpiresAtMs ?? 0);
                    return Ok(v, false, whole.Length);
                });
            case 6:
                long ttl = random.Next(1, 200_000);
                Expiry expiry = random.Next(3) == 0 ? Expiry.Never : Expiry.After(ttl);
                return new Step(Command(w => CommandEncoder.SetExpiry(w, Bytes(key), expiry, session: session)), (m, v) =>
                {
                    Value? before = m.Get(key, v);
                    long at = expiry == Expiry.Never ? 0 : new Core.Version(v).Milliseconds + ttl;
                    if (before is null || before.ExpiresAtMs == at)
                    {
                        return Ok(v, before is not null, before is not null && at != 0 ? 1 : 0);
                    }

                    m.Set(key, before.Text, v, at);
                    return Ok(v, true, 1);
                });
            case 7:
                string[] keys = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => "k" + random.Next(8))];
                return new Step(
                    Command(w => CommandEncoder.MultiDelete(w, [.. keys.Select(static k => (ReadOnlyMemory<byte>)Bytes(k))], session)),
                    (m, v) => Ok(v, false, keys.Distinct().Count(k => m.Get(k, v) is not null && m._values.Remove(k))));
            case 8:
                (string K, string V)[] pairs =
                [
                    .. Enumerable.Range(0, random.Next(1, 5)).Select(_ => ("k" + random.Next(8), "m" + random.Next(1000))),
                ];
                bool absent = random.Next(2) == 0;
                return new Step(
                    Command(w =>
                        CommandEncoder.MultiPut(
                            w,
                            [
                                .. pairs.Select(static p => new KeyValuePair<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>>(
                                    Bytes(p.K),
                                    Bytes(p.V))),
                            ],
                            absent,
                            session)),
                    (m, v) =>
                    {
                        Value? there = absent ? pairs.Select(p => m.Get(p.K, v)).FirstOrDefault(static x => x is not null) : null;
                        if (there is not null)
                        {
                            return Describe("ConditionFailed", there.Version, false, 0, "None", null);
                        }

                        Array.ForEach(pairs, p => m.Set(p.K, p.V, v, 0));
                        return Ok(v, false, pairs.Length);
                    });
            default:
                return RandomTxn(random, session);
        }
    }

    private static Step RandomPut(Random random, string key, string text, SessionStamp session)
    {
        var condition = (PutCondition)random.Next(4);
        long ttl = random.Next(3) == 0 ? random.Next(1, 300_000) : 0;
        bool keep = ttl == 0 && random.Next(4) == 0;
        bool previous = random.Next(3) == 0;
        var options = new PutOptions
        {
            Condition = condition,
            IfVersion = default,
            Expiry = ttl == 0 ? Expiry.Never : Expiry.After(ttl),
            KeepExpiry = keep,
            ReturnPrevious = previous,
        };
        return new Step(Put(key, text, options, session), (m, v) =>
        {
            Value? before = m.Get(key, v);
            bool holds = condition switch
            {
                PutCondition.IfPresent => before is not null,
                PutCondition.None => true,
                _ => before is null,
            };
            if (!holds)
            {
                return Describe("ConditionFailed", before?.Version ?? 0, false, 0, "None", previous ? before : null);
            }

            m.Set(key, text, v, keep ? before?.ExpiresAtMs ?? 0 : ttl == 0 ? 0 : new Core.Version(v).Milliseconds + ttl);
            return Ok(v, false, 0, previous ? before : null);
        });
    }

    private static Step RandomTxn(Random random, SessionStamp session)
    {
        string key = "k" + random.Next(8);
        bool exists = random.Next(2) == 0;
        Step[] then = [.. Enumerable.Range(0, random.Next(5)).Select(_ => RandomPart(random))];
        Step[] otherwise = [.. Enumerable.Range(0, random.Next(5)).Select(_ => RandomPart(random))];
        var txn = new TxnBuilder();
        txn.CompareExistence(Bytes(key), exists);
        Array.ForEach(then, s => txn.Then.Add(s.Bytes));
        Array.ForEach(otherwise, s => txn.Otherwise.Add(s.Bytes));
        return new Step(Command(w => txn.Encode(w, session)), (m, v) =>
        {
            bool holds = m.Get(key, v) is not null == exists;
            return "Txn " + Ok(v, holds) + string.Concat((holds ? then : otherwise).Select(s => " / " + s.Do(m, v)));
        });
    }

    private static Step RandomPart(Random random)
    {
        Step part = Random(random);
        return part.Bytes[0] == (byte)CommandKind.Txn ? RandomPart(random) : part;
    }

    /// <summary>As <see cref="Describe(CommandResult, ReadOnlySpan{byte})"/>, for a result of any command.</summary>
    public static string DescribeAny(byte[] command, CommandResult result, byte[] payload)
    {
        if (command[0] != (byte)CommandKind.Txn)
        {
            return Describe(result, payload);
        }

        string text = "Txn " + Describe(result, default);
        var parts = new TxnResultReader(payload);
        while (parts.MoveNext())
        {
            text += " / " + Describe(parts.Current, parts.Payload);
        }

        Assert.False(parts.Damaged);
        return text;
    }
}

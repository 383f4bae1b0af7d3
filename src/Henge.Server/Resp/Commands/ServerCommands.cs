using System.Buffers;
using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Operations;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;
using Henge.Storage;

namespace Henge.Server.Resp.Commands;

/// <summary>
/// Commands about keys' details and about the server, which clients and tools ask for: OBJECT, MEMORY, CONFIG, ROLE and their kin, and
/// FLUSHDB.
/// </summary>
internal static class ServerCommands
{
    private const int FlushPageKeys = 1000;
    private const int EntryOverheadBytes = 64;
    private static readonly (int, int, int) OneKey = (1, 1, 1);
    private static readonly (int, int, int) SecondKey = (2, 2, 1);

    public static IEnumerable<RespCommand> All =>
        [
            new ReadCommand("touch", -2, static (_, found, _) => found.Exists ? 1 : 0) { AsSum = true, Keys = (1, -1, 1) },
            new ReadCommand("expiretime", 2, static (_, found, writer) => ExpireTime(found, writer, 1000)) { Keys = OneKey },
            new ReadCommand("pexpiretime", 2, static (_, found, writer) => ExpireTime(found, writer, 1)) { Keys = OneKey },
            new KeyReadCommand("object", -3, Describe)
            {
                Keys = SecondKey,
                Check = CheckObject,
                Subcommands = ["ENCODING", "REFCOUNT", "IDLETIME", "FREQ"],
            },
            new KeyReadCommand("memory", -3, MemoryUsage)
            {
                Keys = SecondKey,
                Check = CheckMemory,
                Subcommands = ["USAGE"],
            },
            new LocalCommand("config", -2, Config),
            new LocalCommand("role", 1, Role),
            new LocalCommand("lastsave", 1, static (c, _, w) => w.Integer((c.Node.Now.Milliseconds + Core.Version.EpochUnixMs) / 1000)),
            new LocalCommand("latency", -2, Latency),
            new LocalCommand("slowlog", -2, SlowLog),
            new LocalCommand("wait", 3, Wait),
            new SlowCommand("flushdb", -1, FlushAsync) { Changes = true, OnKeySpace = true },
            new SlowCommand("flushall", -1, FlushAsync) { Changes = true, OnKeySpace = true },
        ];

    private static int ExpireTime(FoundEntry found, RespWriter writer, long unitMs)
    {
        long unixMs = found.ExpiresAtMs + Core.Version.EpochUnixMs;
        writer.Integer(!found.Exists ? -2 : found.ExpiresAtMs == 0 ? -1 : (unixMs + (unitMs / 2)) / unitMs);
        return 0;
    }

    private static string? CheckObject(RespArguments arguments) =>
        arguments.Count == 3
        && (arguments.Is(1, "ENCODING"u8) || arguments.Is(1, "REFCOUNT"u8) || arguments.Is(1, "IDLETIME"u8) || arguments.Is(1, "FREQ"u8))
            ? null
            : RespErrors.Subcommand(arguments, "object", "ENCODING", "REFCOUNT", "IDLETIME", "FREQ");

    // What Redis would say of such a value: some libraries look at it. Idle times are not kept.
    private static void Describe(RespArguments arguments, IHengeNode node, FoundEntry found, RespWriter writer)
    {
        if (!found.Exists)
        {
            writer.Null();
        }
        else if (arguments.Is(1, "ENCODING"u8))
        {
            writer.Bulk(found.Type == DataType.Hash ? HashEncoding(found.Value)
                : RespArguments.TryInteger(found.Value, out _) ? "int"
                : found.Value.Length <= 44 ? "embstr" : "raw");
        }
        else if (arguments.Is(1, "FREQ"u8))
        {
            writer.Error(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between "
                    + "policies at runtime LRU and LFU data will take some time to adjust.");
        }
        else
        {
            writer.Integer(arguments.Is(1, "REFCOUNT"u8) ? 1 : 0);
        }
    }

    private static string HashEncoding(ReadOnlySpan<byte> value)
    {
        const int MostFields = 128, MostBytes = 64;
        var reader = new HashReader(value);
        bool small = reader.Count <= MostFields;
        while (small && reader.MoveNext())
        {
            small = reader.Field.Length <= MostBytes && reader.Value.Length <= MostBytes;
        }

        return small ? "listpack" : "hashtable";
    }

    private static string? CheckMemory(RespArguments arguments)
    {
        if (!arguments.Is(1, "USAGE"u8))
        {
            return RespErrors.Subcommand(arguments, "memory", "USAGE");
        }

        if (arguments.Count == 3)
        {
            return null;
        }

        return arguments.Count != 5 || !arguments.Is(3, "SAMPLES"u8) ? RespErrors.Syntax
            : !arguments.TryInteger(4, out long samples) ? RespErrors.NotAnInteger
            : samples < 0 ? RespErrors.Syntax : null;
    }

    private static void MemoryUsage(RespArguments arguments, IHengeNode node, FoundEntry found, RespWriter writer)
    {
        if (found.Exists)
        {
            writer.Integer(arguments[2].Length + found.Value.Length + EntryOverheadBytes);
        }
        else
        {
            writer.Null();
        }
    }

    private static void Config(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        if (arguments.Is(1, "GET"u8) && arguments.Count > 2)
        {
            var found = Settings(connection.Node)
                .Where(s =>
                    Enumerable
                        .Range(2, arguments.Count - 2)
                        .Any(i =>
                            Glob.Matches(Encoding.ASCII.GetBytes(arguments.Text(i).ToLowerInvariant()), Encoding.ASCII.GetBytes(s.Name))))
                .ToList();
            writer.Map(found.Count);
            foreach ((string name, string value) in found)
            {
                writer.Bulk(name);
                writer.Bulk(value);
            }
        }
        else if (arguments.Is(1, "SET"u8) && arguments.Count == 4 && arguments.Is(2, "NOTIFY-KEYSPACE-EVENTS"u8))
        {
            // Notifications are always on; libraries that need them turn them on first.
            writer.Ok();
        }
        else if (arguments.Is(1, "SET"u8) && arguments.Count >= 4 && arguments.Count % 2 == 0)
        {
            writer.Error("ERR Henge's settings are given at start and not changed by CONFIG SET (docs/configuration.md)");
        }
        else if (arguments.Is(1, "RESETSTAT"u8) && arguments.Count == 2)
        {
            writer.Ok();
        }
        else
        {
            writer.Error(RespErrors.Subcommand(arguments, "config", "GET", "SET", "RESETSTAT"));
        }
    }

    // What clients ask for when they connect, and what is true of Henge of it.
    private static IEnumerable<(string Name, string Value)> Settings(IHengeNode node) =>
    [
        ("appendfsync", "always"),
        ("appendonly", "yes"),
        ("databases", "1"),
        ("maxclients", "10000"),
        ("maxmemory", "0"),
        ("maxmemory-policy", "noeviction"),
        ("notify-keyspace-events", "AK"),
        ("proto-max-bulk-len", node.Limits.ValueBytes.ToString(CultureInfo.InvariantCulture)),
        ("replica-read-only", "no"),
        ("save", ""),
        ("slave-read-only", "no"),
        ("timeout", "0"),
    ];

    private static void Role(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        writer.Array(3);
        writer.Bulk("master");
        writer.Integer(0);
        writer.Array(0);
    }

    private static void Latency(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        if ((arguments.Is(1, "LATEST"u8) && arguments.Count == 2) || (arguments.Is(1, "HISTORY"u8) && arguments.Count == 3))
        {
            writer.Array(0);
        }
        else if (arguments.Is(1, "RESET"u8))
        {
            writer.Integer(0);
        }
        else if (arguments.Is(1, "DOCTOR"u8) && arguments.Count == 2)
        {
            writer.Verbatim("Henge keeps no latency events of Redis's kind; durations of commands are in /metrics.\n");
        }
        else
        {
            writer.Error(RespErrors.Subcommand(arguments, "latency", "LATEST", "HISTORY", "RESET", "DOCTOR"));
        }
    }

    private static void SlowLog(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        if (arguments.Is(1, "GET"u8) && arguments.Count is 2 or 3)
        {
            if (arguments.Count == 3 && (!arguments.TryInteger(2, out long count) || count < -1))
            {
                writer.Error("ERR count should be greater than or equal to -1");
            }
            else
            {
                writer.Array(0);
            }
        }
        else if (arguments.Is(1, "LEN"u8) && arguments.Count == 2)
        {
            writer.Integer(0);
        }
        else if (arguments.Is(1, "RESET"u8) && arguments.Count == 2)
        {
            writer.Ok();
        }
        else
        {
            writer.Error(RespErrors.Subcommand(arguments, "slowlog", "GET", "LEN", "RESET"));
        }
    }

    /// <summary>
    /// WAIT replicas timeout: whatever was acknowledged is on the disks of a majority already; the reply is how many there are besides the
    /// leader.
    /// </summary>
    private static void Wait(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        if (!arguments.TryInteger(1, out _))
        {
            writer.Error(RespErrors.NotAnInteger);
        }
        else if (!arguments.TryInteger(2, out long timeout))
        {
            writer.Error("ERR timeout is not an integer or out of range");
        }
        else if (timeout < 0)
        {
            writer.Error("ERR timeout is negative");
        }
        else
        {
            IReadOnlyList<ShardPlacement> shards = connection.Node.GetTopology().Shards;
            writer.Integer(shards.Count == 0 ? 0 : shards.Min(static s => s.Replicas.Count) / 2);
        }
    }

    /// <summary>
    /// FLUSHDB [ASYNC | SYNC]: deletes what was there when it began, page by page, each key through Raft and only while it is as it was
    /// seen, so that what is written meanwhile stays. Not atomic; an error leaves what is not deleted yet.
    /// </summary>
    private static async ValueTask FlushAsync(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        if (arguments.Count > 2 || (arguments.Count == 2 && !arguments.Is(1, "ASYNC"u8) && !arguments.Is(1, "SYNC"u8)))
        {
            writer.Error(RespErrors.Syntax);
            return;
        }

        (Core.Version version, string? error) = await connection.NowAsync();
        if (error is not null)
        {
            writer.Error(error);
            return;
        }

        RangeScan scan = RangeScan.OfKeys(connection.Node, version, default, FlushPageKeys);
        do
        {
            var page = new FlushPage();
            await scan.ReadPageAsync(page);
            if (await connection.RunManyAsync(page.Fill) is { } failed)
            {
                writer.Error(RespErrors.Of(failed));
                return;
            }
        }
        while (!scan.Ended);
        writer.Ok();
    }

    private sealed class FlushPage : IScanReceiver
    {
        private readonly List<(byte[] Key, Core.Version Version)> _seen = [];

        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs) =>
            _seen.Add((key.ToArray(), version));

        public void Fill(RespBatch batch)
        {
            foreach ((byte[] key, Core.Version version) in _seen)
            {
                ArrayBufferWriter<byte> chunk = batch.ChunkFor(key.Length + 64);
                int before = chunk.WrittenCount;
                CommandEncoder.Delete(chunk, key, version);
                batch.AddWrite(key, chunk.WrittenMemory[before..]);
            }
        }
    }
}

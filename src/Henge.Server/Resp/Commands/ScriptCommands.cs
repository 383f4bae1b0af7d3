using System.Buffers;
using System.Globalization;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;

namespace Henge.Server.Resp.Commands;

/// <summary>
/// EVAL, EVALSHA and SCRIPT: the scripts that Henge knows are done as one command of the state machine; all others are refused (decision
/// 0149).
/// </summary>
internal static class ScriptCommands
{
    public const string Unknown =
        "ERR Henge has no interpreter for scripts and does not know this one: it knows compare-and-delete, compare-and-expire and the set "
            + "of Microsoft's distributed cache. "
        + "Use WATCH and MULTI, or SET with IFEQ and DELEX, in its place (docs/protocol.md)";

    private const string NoScript = "NOSCRIPT No matching script. Please use EVAL.";

    public static IEnumerable<RespCommand> All =>
    [
        new ScriptCommand("eval", static a => KnownScripts.Recognise(a.Span(1)), Unknown),
        new ScriptCommand("evalsha", static a => KnownScripts.Find(a.Text(1)), NoScript),
        new LocalCommand("script", -2, Script),
    ];

    private static void Script(RespConnection connection, RespArguments arguments, RespWriter writer)
    {
        if (arguments.Is(1, "LOAD"u8) && arguments.Count == 3)
        {
            if (KnownScripts.Recognise(arguments.Span(2)) is null)
            {
                writer.Error(Unknown);
            }
            else
            {
                writer.Bulk(KnownScripts.DigestOf(arguments.Span(2)));
            }
        }
        else if (arguments.Is(1, "EXISTS"u8) && arguments.Count > 2)
        {
            writer.Array(arguments.Count - 2);
            for (int i = 2; i < arguments.Count; i++)
            {
                writer.Integer(KnownScripts.Find(arguments.Text(i)) is null ? 0 : 1);
            }
        }
        else if (
            arguments.Is(1, "FLUSH"u8)
            && (arguments.Count == 2 || (arguments.Count == 3 && (arguments.Is(2, "SYNC"u8) || arguments.Is(2, "ASYNC"u8)))))
        {
            KnownScripts.Forget();
            writer.Ok();
        }
        else if (arguments.Is(1, "KILL"u8) && arguments.Count == 2)
        {
            writer.Error("NOTBUSY No scripts in execution right now.");
        }
        else
        {
            writer.Error(RespErrors.Subcommand(arguments, "script", "LOAD", "EXISTS", "FLUSH", "KILL"));
        }
    }
}

/// <summary>EVAL or EVALSHA of a script that is known.</summary>
internal sealed class ScriptCommand : DataCommand
{
    private readonly Func<RespArguments, KnownScript?> _find;
    private readonly string _unknown;

    public ScriptCommand(string name, Func<RespArguments, KnownScript?> find, string unknown) : base(name, -3)
    {
        (_find, _unknown) = (find, unknown);
        Keys = (3, 3, 1);
    }

    /// <inheritdoc/>
    public override bool Writes => true;

    public override string? Plan(RespArguments arguments, IHengeNode node, RespBatch batch)
    {
        if (Check(arguments, node, out KnownScript? script) is { } error)
        {
            return error;
        }

        int size = 512;
        for (int i = 3; i < arguments.Count; i++)
        {
            size += 3 * (arguments[i].Length + Varint.MaxBytes);
        }

        ArrayBufferWriter<byte> chunk = batch.ChunkFor(size);
        int before = chunk.WrittenCount;
        if (Encode(script!, arguments, node, chunk) is { } mistake)
        {
            return mistake;
        }

        batch.AddWrite(arguments[3], chunk.WrittenMemory[before..]);
        return null;
    }

    public override void Reply(RespArguments arguments, IHengeNode node, RespBatch batch, int first, int count, RespWriter writer)
    {
        if (WriteError(batch[first], writer))
        {
            return;
        }

        CommandResult result = CommandResult.Of(batch[first], out ReadOnlySpan<byte> payload);
        if (result.Status == CommandStatus.Failed)
        {
            writer.Error(RespErrors.Of(in result));
            return;
        }

        KnownScript script = _find(arguments)!;
        var parts = new TxnResultReader(payload);
        switch (script.Kind)
        {
            case ScriptKind.DeleteIfEqual:
                writer.Integer(result.Status == CommandStatus.Ok && result.Found ? 1 : 0);
                break;
            case ScriptKind.ExtendOrTake:
                writer.Integer(parts.MoveNext() && parts.Current.Status == CommandStatus.Ok ? 1 : -1);
                break;
            case ScriptKind.CacheSet:
                bool set = parts.MoveNext();
                if (set && parts.Current.Status == CommandStatus.Failed)
                {
                    CommandResult failed = parts.Current;
                    writer.Error(RespErrors.Of(in failed));
                }
                else
                {
                    writer.Integer(1);
                }

                break;
            default:
                writer.Integer(result.Succeeded ? 1 : 0);
                break;
        }
    }

    public override string? Queue(RespArguments arguments, IHengeNode node, TxnBranch branch, ArrayBufferWriter<byte> scratch) =>
        "ERR scripts inside a transaction are not supported by Henge";

    public override void ReplyQueued(RespArguments arguments, IHengeNode node, ref TxnResultReader results, RespWriter writer) =>
        throw new InvalidOperationException("A script is never queued.");

    private static int IndexOf(int place) => place < 0 ? 3 : 4 + place;

    private string? Check(RespArguments arguments, IHengeNode node, out KnownScript? script)
    {
        script = null;
        if (!arguments.TryInteger(2, out long keys))
        {
            return RespErrors.NotAnInteger;
        }

        if (keys < 0)
        {
            return "ERR Number of keys can't be negative";
        }

        if (keys > arguments.Count - 3)
        {
            return "ERR Number of keys can't be greater than number of args";
        }

        script = _find(arguments);
        if (script is null)
        {
            return _unknown;
        }

        int last = script.Kind switch
        {
            ScriptKind.CacheSet => 7,
            ScriptKind.DeleteIfEqual => Math.Max(IndexOf(script.Key), IndexOf(script.Value)),
            _ => Math.Max(Math.Max(IndexOf(script.Key), IndexOf(script.Value)), IndexOf(script.Time)),
        };
        if (keys != 1 || last >= arguments.Count)
        {
            return "ERR this script takes one key, and more arguments than were given";
        }

        if (!arguments.Span(IndexOf(script.Key)).SequenceEqual(arguments.Span(3)))
        {
            return "ERR the script works on another key than the one that was declared";
        }

        return CheckSizes(arguments, 0, node.Limits)
            ?? (
                arguments[3].Length > node.Limits.KeyBytes
                    ? $"ERR the key has {arguments[3].Length} bytes; the limit of this node is {node.Limits.KeyBytes}"
                    : null);
    }

    private static string? Encode(KnownScript script, RespArguments arguments, IHengeNode node, ArrayBufferWriter<byte> writer)
    {
        ReadOnlySpan<byte> key = arguments.Span(3), value = arguments.Span(IndexOf(script.Value));
        if (script.Kind == ScriptKind.DeleteIfEqual)
        {
            CommandEncoder.DeleteIf(writer, key, PutCondition.IfValue, value);
            return null;
        }

        ReadOnlySpan<byte> timeText = arguments.Span(IndexOf(script.Time));
        if (!RespArguments.TryInteger(timeText, out long time) || time > long.MaxValue / 2000)
        {
            return RespErrors.NotAnInteger;
        }

        long milliseconds = script.Kind is ScriptKind.ExpireIfEqual or ScriptKind.CacheSet ? time * 1000 : time;
        Expiry expiry = milliseconds > 0 ? Expiry.After(milliseconds) : Expiry.At(1);
        var scratch = new ArrayBufferWriter<byte>();
        var txn = new TxnBuilder();
        switch (script.Kind)
        {
            case ScriptKind.ExtendOrTake:
                if (time <= 0)
                {
                    return RespErrors.InvalidExpiry("set");
                }

                txn.CompareValue(key, CompareRelation.NotEqual, value);
                CommandEncoder.Put(scratch, key, value, new PutOptions { Condition = PutCondition.IfAbsent, Expiry = expiry });
                txn.Then.Add(scratch.WrittenSpan);
                scratch.ResetWrittenCount();
                CommandEncoder.SetExpiry(scratch, key, expiry);
                txn.Otherwise.Add(scratch.WrittenSpan);
                break;
            case ScriptKind.CacheSet:
                CommandEncoder.HashSet(
                    scratch,
                    key,
                    [
                        new("absexp"u8.ToArray(), arguments[4]),
                        new("sldexp"u8.ToArray(), arguments[5]),
                        new("data"u8.ToArray(), arguments[7]),
                    ],
                    node.Limits.ValueBytes);
                txn.Then.Add(scratch.WrittenSpan);
                if (time != -1)
                {
                    scratch.ResetWrittenCount();
                    CommandEncoder.SetExpiry(scratch, key, expiry);
                    txn.Then.Add(scratch.WrittenSpan);
                }

                break;
            default:
                txn.CompareValue(key, CompareRelation.Equal, value);
                CommandEncoder.SetExpiry(scratch, key, expiry);
                txn.Then.Add(scratch.WrittenSpan);
                break;
        }

        txn.Encode(writer);
        return null;
    }
}

using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Metrics;
using Henge.Server.Resp.Channels;
using Henge.Server.Resp.Commands;
using Henge.Server.Resp.Connections;
using Henge.Server.Resp.Wire;

namespace Henge.Fuzz.Targets;

/// <summary>What the arguments of Redis commands become, and what nodes publish to each other.</summary>
internal static class RespCommandTargets
{
    private static readonly FuzzedNode Node = new(FuzzedNode.Alone);
    private static readonly RespBatch Batch = new();

    /// <summary>A node of its own cluster, for what decoders ask a node: its limits, and what time it is.</summary>
    public static IHengeNode AnyNode => Node.Node;

    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("resp-command", Command, CommandSeeds),
        new("peer-channel-message", ChannelMessage, static () => [[1, 1, 0, 0, 0, (byte)'c', (byte)'p'], [3, 0, 0, 0, 0]]),
    ];

    private static IEnumerable<byte[]> CommandSeeds() => DoorTargets.Texts(
        "SET\nk\nv\nEX\n10\nNX\nGET", "SET\nk\nv\nPXAT\n9999999999999\nIFEQ\nx", "SET\nk\nv\nKEEPTTL\nXX", "GET\nk",
            "GETEX\nk\nEXAT\n4102444800", "MSET\na\n1\nb\n2", "MGET\na\nb", "DEL\na\nb", "EXPIRE\nk\n10\nGT",
        "INCRBY\nk\n-9223372036854775808", "INCRBYFLOAT\nk\n1.5e3", "APPEND\nk\nv", "SETRANGE\nk\n5\nx", "GETRANGE\nk\n-5\n-1",
            "SETBIT\nk\n4294967295\n1", "GETBIT\nk\n7", "BITCOUNT\nk\n0\n-1\nBIT", "HSET\nh\nf\nv\ng\nw",
        "HINCRBY\nh\nf\n1", "HINCRBYFLOAT\nh\nf\n0.1", "HMGET\nh\nf\ng", "HDEL\nh\nf", "HSCAN\nh\n0\nMATCH\n*\nCOUNT\n5",
            "RENAME\n{a}1\n{a}2", "COPY\n{a}1\n{a}2\nREPLACE", "OBJECT\nENCODING\nk", "SETEX\nk\n10\nv", "PSETEX\nk\n10\nv",
        "DELEX\nk\nIFDEQ\n0123456789abcdef", "TYPE\nk", "TTL\nk", "STRLEN\nk", "GETDEL\nk", "EVAL\nreturn 1\n1\nk",
            "MSETNX\n{a}1\n1\n{a}2\n2");

    // Words with line ends between them. What is no error is well-formed commands, within the node's limits; what is one has appended
    // nothing.
    private static void Command(ReadOnlySpan<byte> input)
    {
        var words = new List<ReadOnlyMemory<byte>>();
        foreach (Range range in input.Split((byte)'\n'))
        {
            words.Add(input[range].ToArray());
        }

        var arguments = new RespArguments(words, 0, words.Count);
        if (RespCommands.Table.Find(arguments.Span(0)) is not { } command)
        {
            return;
        }

        if (!command.Fits(arguments.Count))
        {
            FuzzCheck.That(command.ArityError(arguments).Length > 0, "an error without a text");
            return;
        }

        if (command is DataCommand data)
        {
            Plan(data, arguments);
            Queue(data, arguments);
        }
    }

    private static void Plan(DataCommand command, RespArguments arguments)
    {
        Batch.Clear();
        try
        {
            if (command.Plan(arguments, Node.Node, Batch) is { } error)
            {
                FuzzCheck.That(error.Length > 0 && Batch.Count == 0, "an error that is none, or operations beside it");
                return;
            }
        }
        catch (HengeException)
        {
            // The connection makes an error of it, and takes back what was appended.
            return;
        }

        for (int i = 0; i < Batch.Count; i++)
        {
            if (Batch[i].Kind == OperationKind.Write)
            {
                CommandLimits.Check(Batch[i].Command.Span, Node.Node.Limits);
                CommandEncoder.ShardOf(Batch[i].Command.Span, new ShardMap(1));
            }
        }
    }

    private static void Queue(DataCommand command, RespArguments arguments)
    {
        var builder = new TxnBuilder();
        if (command.Queue(arguments, Node.Node, builder.Then, new ArrayBufferWriter<byte>()) is { } error)
        {
            FuzzCheck.That(error.Length > 0 && builder.Count == 0, "an error that is none, or commands beside it");
            return;
        }

        if (builder.Count > 0)
        {
            var encoded = new ArrayBufferWriter<byte>();
            builder.Encode(encoded);
            FuzzCheck.That(CommandView.TryRead(encoded.WrittenSpan, out _), "a transaction that is not well formed");
        }
    }

    // As a peer's doors sent it: kind, length of the channel's name, name, payload. Published by a node itself, it is the same.
    private static void ChannelMessage(ReadOnlySpan<byte> input)
    {
        var peers = new Peers();
        var hub = new ChannelHub(peers, new ChannelMetrics(null));
        peers.Receiver!(new NodeId(2), input);
        if (input.Length >= 5 && BinaryPrimitives.ReadUInt32LittleEndian(input[1..]) <= input.Length - 5
            && input[0] is (byte)ChannelKind.Channel or (byte)ChannelKind.Shard)
        {
            int length = BinaryPrimitives.ReadInt32LittleEndian(input[1..]);
            hub.Publish((ChannelKind)input[0], input.Slice(5, length), input[(5 + length)..]);
            FuzzCheck.Same(input, peers.Posted, "a message");
        }
    }

    private sealed class Peers : IPeerMessages
    {
        public PeerMessageHandler? Receiver { get; set; }

        public byte[] Posted { get; private set; } = [];

        public void Post(ReadOnlySpan<byte> head, ReadOnlySpan<byte> body) => Posted = [.. head, .. body];

        public void Flush()
        {
        }

        public long DroppedFor(NodeId peer) => 0;
    }
}

using System.Buffers;
using System.IO.Pipelines;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Henge.Core;
using Henge.Node.Access;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Server.Access;
using Henge.Server.Hosting;
using Henge.Server.JsonLines;
using Henge.Server.Operations;
using Henge.Server.Peers;
using Henge.Server.Resp;
using Henge.Server.Thrift;
using Henge.Storage;
using Henge.Testing.Nodes;
using Microsoft.AspNetCore.Connections;
using Microsoft.Extensions.Logging.Abstractions;

namespace Henge.Fuzz.Guarded;

/// <summary>
/// The port of a node that checks access, with all doors behind it, and connections from memory on which nobody can log in. After each of
/// them it is checked that nothing got past the doors. Not thread-safe.
/// </summary>
internal sealed class GuardedPort : IDisposable
{
    // No mutation makes these by chance.
    private const string SecretValue = "planted-5f2c9b1e77d84a06";
    private const string SecretPassword = "hunted-0a6bd3f18e5c4279";
    private const int MostReplyBytes = 1 << 20;
    private const long MostMemory = 1L << 30;
    private const int LooksApart = 1024;
    private static readonly TimeSpan Slowest = TimeSpan.FromSeconds(30);
    private readonly MemoryNode _node = new(new NodeLimits { ValueBytes = 64 * 1024, CommandBytes = 128 * 1024 }, shards: 1);
    private readonly WatchedNode _watched;
    private readonly HengeServer _server;
    private readonly Logins _logins;
    private readonly NobodysPeer _peers = new();
    private readonly byte[][] _secrets;
    private readonly byte[] _contents;
    private readonly Core.Version _revision;
    private long _served;

    /// <param name="withHole">Makes a hole in the guard, for the test that one is found.</param>
    public GuardedPort(bool withHole = false)
    {
        WriteSecret();
        PasswordHashes hashes = new(threads: 1, iterations: 10);
        string hash = hashes.HashAsync(SecretPassword).GetAwaiter().GetResult();
        byte[] key = RandomNumberGenerator.GetBytes(32);
        Change(new() { Kind = AccessChangeKind.AddUser, Name = "root", PasswordHash = hash, Generation = 1 });
        Change(new() { Kind = AccessChangeKind.AddUser, Name = "ann", PasswordHash = hash, Generation = 1 });
        Change(new() { Kind = AccessChangeKind.Enable, SigningKey = key });
        _watched = new WatchedNode(_node.Node);
        IHengeNode guarded = new GuardedNode(_watched, _node.Node);
        guarded = withHole ? new HalfGuardedNode(guarded, _watched) : guarded;
        _logins = new Logins(
            _node.Node, new Tokens(_node.Node, static () => "cluster", TimeProvider.System), hashes, NullLogger.Instance);
        PeerTransport transport = new(new NodeId(1), [new NodeEntry(new NodeId(1), "node1", "127.0.0.1:1")]);
        transport.Start(_peers);
        _server = new HengeServer(
            guarded,
            new DoorOptions { Address = "127.0.0.1:0" },
            tls: null,
            [
                new PeerProtocol(transport) { NeedsCertificate = true },
                new RespProtocol(guarded) { Logins = _logins },
                new JsonLinesProtocol(guarded) { Logins = _logins },
                .. ThriftProtocol.Both(guarded, logins: _logins),
            ],
            logins: _logins);
        _server.StartAsync().GetAwaiter().GetResult();
        _revision = _node.Node.Access.Revision;
        _contents = Contents();
        _secrets =
        [
            Encoding.ASCII.GetBytes(SecretValue),
            Encoding.ASCII.GetBytes(Convert.ToBase64String(Encoding.ASCII.GetBytes(SecretValue)).TrimEnd('=')[..^1]),
            Encoding.ASCII.GetBytes(SecretPassword),
            Encoding.ASCII.GetBytes(hash),
            Encoding.ASCII.GetBytes(Convert.ToHexString(key)),
            key,
        ];
    }

    /// <summary>Gives a connection its bytes, waits until the node has ended it, and checks what came of it; what it said.</summary>
    public byte[] Serve(ReadOnlySpan<byte> bytes)
    {
        Pipe input = Endless(), output = Endless();
        input.Writer.Write(bytes);
        input.Writer.Complete();
        DefaultConnectionContext connection = new(_served.ToString(System.Globalization.CultureInfo.InvariantCulture))
        {
            Transport = new Ends(input.Reader, output.Writer),
            LocalEndPoint = new IPEndPoint(IPAddress.Loopback, 7001),
            RemoteEndPoint = new IPEndPoint(new IPAddress([127, 0, 1, (byte)_served]), 50_000),
        };
        FuzzCheck.That(_server.ServeAsync(connection).Wait(Slowest), "a connection whose other side has ended does not end");
        output.Writer.Complete();
        byte[] reply = output.Reader.TryRead(out ReadResult read) ? read.Buffer.ToArray() : [];
        output.Reader.Complete();
        input.Reader.Complete();
        Check(reply);
        return reply;
    }

    public void Dispose()
    {
        _server.DisposeAsync().AsTask().GetAwaiter().GetResult();
        _logins.Dispose();
        _node.Dispose();
    }

    /// <summary>A value that only users may read.</summary>
    internal ReadOnlySpan<byte> Secret => _secrets[0];

    /// <summary>Fails when a reply, in two parts, or anything else shows that somebody got past the doors.</summary>
    internal void Check(ReadOnlySpan<byte> head, ReadOnlySpan<byte> body) => Check([.. head, .. body]);

    private void Check(byte[] reply)
    {
        FuzzCheck.That(_watched.Reached == 0, "somebody who has not logged in got as far as to the node");
        FuzzCheck.That(_peers.Heard == 0, "somebody who has shown no node's certificate was heard as a node");
        AccessView access = _node.Node.Access;
        FuzzCheck.That(
            access.IsEnabled && access.Revision == _revision && access.SigningKey.Span.SequenceEqual(_secrets[^1]),
            "somebody who has not logged in changed users or roles");
        FuzzCheck.That(reply.Length <= MostReplyBytes, $"an answer of {reply.Length} bytes");
        foreach (byte[] secret in _secrets)
        {
            FuzzCheck.That(reply.AsSpan().IndexOf(secret) < 0, "an answer gives away what only users may read");
        }

        if (_served++ % LooksApart == 0)
        {
            FuzzCheck.That(Contents().AsSpan().SequenceEqual(_contents), "somebody who has not logged in changed the data");
            FuzzCheck.That(GC.GetTotalMemory(forceFullCollection: false) < MostMemory, "connections that are gone keep memory");
        }
    }

    private byte[] Contents()
    {
        Hashed contents = new();
        _node.Node.Scan(
            new ScanQuery { Version = new Core.Version(Core.Version.MaxValue), LimitItems = 1000, LimitBytes = 1 << 20 },
            contents);
        FuzzCheck.That(contents.Keys == 1, $"the node has {contents.Keys} keys, and was given one");
        return contents.Hash.GetHashAndReset();
    }

    private void WriteSecret()
    {
        ArrayBufferWriter<byte> command = new();
        CommandEncoder.Put(command, "secret/1"u8, Encoding.ASCII.GetBytes(SecretValue));
        One write = new() { Kind = OperationKind.Write, Key = "secret/1"u8.ToArray(), Command = command.WrittenMemory };
        _node.Node.Submit(write);
        FuzzCheck.That(write.Ended.Task.Wait(Slowest) && write.Error == ErrorCode.None, "the secret cannot be written");
    }

    private void Change(AccessChange change)
    {
        TaskCompletionSource<HengeException?> ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _node.Node.ChangeAccess(change, _node.Node.MonotonicMs + (long)Slowest.TotalMilliseconds, ended.SetResult);
        FuzzCheck.That(ended.Task.Wait(Slowest) && ended.Task.Result is null, $"{change} cannot be done: {ended.Task.Result?.Message}");
    }

    // Nobody waits in them, and the one who writes goes on with what follows.
    private static Pipe Endless() => new(new PipeOptions(
        readerScheduler: PipeScheduler.Inline,
        writerScheduler: PipeScheduler.Inline,
        pauseWriterThreshold: 0,
        useSynchronizationContext: false));

    private sealed record Ends(PipeReader Input, PipeWriter Output) : IDuplexPipe;

    private sealed class One : Operation
    {
        public TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        protected override void OnCompleted() => Ended.SetResult();
    }

    private sealed class Hashed : IScanReceiver
    {
        public IncrementalHash Hash { get; } = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

        public int Keys { get; private set; }

        public void OnItem(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, Core.Version version, EntryKind kind, long expiresAtMs)
        {
            Keys++;
            Hash.AppendData(key);
            Hash.AppendData("\0"u8);
            Hash.AppendData(value);
            Hash.AppendData(BitConverter.GetBytes(version.Value));
        }
    }

    private sealed class NobodysPeer : IPeerReceiver
    {
        private long _heard;

        public long Heard => Interlocked.Read(ref _heard);

        public byte[] HelloTo(NodeId peer) => [];

        public bool OnHello(ReadOnlySpan<byte> frame, out NodeId peer)
        {
            Interlocked.Increment(ref _heard);
            peer = NodeId.None;
            return false;
        }

        public void OnFrame(ReadOnlySpan<byte> frame) => Interlocked.Increment(ref _heard);

        public void OnDisconnected(NodeId peer)
        {
        }
    }
}

using Google.Protobuf;
using Henge.Client;
using Henge.Client.Routing;
using Henge.Client.Sessions;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Protocol.Messages;
using Henge.Server.Kv;
using Henge.Server.Operations;
using Wire = Henge.Protocol.V1;

namespace Henge.Fuzz.Targets;

/// <summary>
/// The messages of the hot paths, which server and client read and write without objects: beside Google's own reader, which must read the
/// same of what it has written.
/// </summary>
internal static class MessageTargets
{
    private static readonly Router Nobody = new(new HengeClientOptions());

    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("message-get-request", GetRequest, static () => Messages(
            new Wire.GetRequest { Key = Text("a"), Version = 9, Consistency = Wire.Consistency.Stale },
                new Wire.GetRequest { Key = Text(""), AtUnixMs = -1, LeaderOnly = true })),
        new("message-put-request", PutRequest, static () => Messages(
            new Wire.PutRequest { Key = Text("a"), Value = Text("b"), TtlMs = ulong.MaxValue, IfVersion = 0, ReturnPrevious = true },
                new Wire.PutRequest { Key = Text("k"), ClientId = 7, Sequence = 1, KeepTtl = true, SessionFlags = 3,
                Type = Wire.DataType.Hash })),
        new("message-delete-request", DeleteRequest, static () => Messages(
            new Wire.DeleteRequest { Key = Text("a"), IfVersion = 3, ReturnPrevious = true, LeaderOnly = true },
                new Wire.DeleteRequest { Key = Text("k"), ClientId = 7, Sequence = 1, SessionFlags = 1 })),
        new("message-txn-request", TxnRequest, static () => Messages(TxnSeed())),
        new("message-scan-request", ScanRequest, static () => Messages(
            new Wire.ScanRequest { Prefix = Text("a"), Limit = 3 },
            new Wire.ScanRequest { StartKey = Text("a"), EndKey = Text("c"), Reverse = true, Continuation = Continuation("a", "c", "b") },
            new Wire.ScanRequest { Continuation = Continuation("", "", "b"), Version = 7 })),
        new("message-session-result", SessionResult, static () => Messages(
            new Wire.SessionResult { Id = 1, Get = new Wire.GetResponse { Found = true, Value = Text("v"), Version = 3,
                TtlRemainingMs = 5 } },
            new Wire.SessionResult { Id = 300,
                Put = new Wire.PutResponse { Success = true, Version = 3, Previous = new Wire.KeyValue { Key = Text("a"), Value = Text("b"),
                Version = 2, TtlRemainingMs = 1 } } },
            new Wire.SessionResult { Id = 2, Delete = new Wire.DeleteResponse { Success = true, Version = 3 } },
            new Wire.SessionResult { Id = 2,
                Txn = new Wire.TxnResponse { Succeeded = true,
                Results = { new Wire.TxnResult { Get = new Wire.GetResponse { Found = true, TtlRemainingMs = 9 } } } } },
            new Wire.SessionResult { Id = 4, Error = new Wire.Error { Code = 2, Message = "no", LeaderHint = "a:1" } })),
        new("message-session-operation", SessionOperation, static () => [[0, 3, 1, 2, 3, 4, 5], [1, 200, 1, .. new byte[300]], [2, 0],
            [0]]),
    ];

    private static ByteString Text(string text) => ByteString.CopyFromUtf8(text);

    private static IEnumerable<byte[]> Messages(params IMessage[] messages) => messages.Select(static message => message.ToByteArray());

    private static Wire.TxnRequest TxnSeed()
    {
        var request = new Wire.TxnRequest { ClientId = 5, Sequence = 6 };
        request.Compare.Add(new Wire.Compare { Key = Text("a"), Version = 4 });
        request.Compare.Add(new Wire.Compare { Key = Text("a"), Exists = true });
        request.Then.Add(new Wire.TxnOperation { Put = new Wire.PutRequest { Key = Text("a"), Value = Text("b") } });
        request.Otherwise.Add(new Wire.TxnOperation { Get = new Wire.GetRequest { Key = Text("a") } });
        return request;
    }

    // What Google's reader makes of the bytes, written anew without what it does not know.
    private static byte[]? Known<T>(ReadOnlySpan<byte> input, MessageParser<T> parser, out T? message) where T : class, IMessage<T>
    {
        try
        {
            message = parser.WithDiscardUnknownFields(true).ParseFrom(input);
            return message.ToByteArray();
        }
        catch (InvalidProtocolBufferException)
        {
            message = null;
            return null;
        }
    }

    private static void GetRequest(ReadOnlySpan<byte> input)
    {
        Tolerate(input, static bytes => GetRequestFields.Read(bytes));
        if (Known(input, Wire.GetRequest.Parser, out Wire.GetRequest? message) is { } known)
        {
            var fields = GetRequestFields.Read(known);
            FuzzCheck.That(
                fields.HasKey == message!.HasKey && fields.Version == message.Version && fields.AtUnixMs == message.AtUnixMs
                    && fields.Consistency == message.Consistency && fields.LeaderOnly == message.LeaderOnly,
                "the fields are others than Google's reader found");
            FuzzCheck.Same(message.Key.Span, fields.Key, "a key");
        }
    }

    private static void PutRequest(ReadOnlySpan<byte> input)
    {
        Tolerate(input, static bytes => PutRequestFields.Read(bytes));
        if (Known(input, Wire.PutRequest.Parser, out Wire.PutRequest? message) is { } known)
        {
            var fields = PutRequestFields.Read(known);
            FuzzCheck.That(
                fields.HasKey == message!.HasKey && fields.TtlSecs == message.TtlSecs && fields.TtlMs == message.TtlMs
                    && fields.HasIfVersion == message.HasIfVersion && fields.IfVersion == message.IfVersion
                && fields.ReturnPrevious == message.ReturnPrevious && fields.LeaderOnly == message.LeaderOnly
                    && fields.ClientId == message.ClientId && fields.Sequence == message.Sequence
                && fields.KeepTtl == message.KeepTtl && fields.SessionFlags == message.SessionFlags
                    && fields.Type == message.Type,
                "the fields are others than Google's reader found");
            FuzzCheck.Same(message.Key.Span, fields.Key, "a key");
            FuzzCheck.Same(message.Value.Span, fields.Value, "a value");
        }
    }

    private static void DeleteRequest(ReadOnlySpan<byte> input)
    {
        Tolerate(input, static bytes => DeleteRequestFields.Read(bytes));
        if (Known(input, Wire.DeleteRequest.Parser, out Wire.DeleteRequest? message) is { } known)
        {
            var fields = DeleteRequestFields.Read(known);
            FuzzCheck.That(
                fields.HasKey == message!.HasKey && fields.HasIfVersion == message.HasIfVersion && fields.IfVersion == message.IfVersion
                    && fields.ReturnPrevious == message.ReturnPrevious
                && fields.LeaderOnly == message.LeaderOnly && fields.ClientId == message.ClientId && fields.Sequence == message.Sequence
                    && fields.SessionFlags == message.SessionFlags,
                "the fields are others than Google's reader found");
            FuzzCheck.Same(message.Key.Span, fields.Key, "a key");
        }
    }

    // Whatever message there is becomes a command that the state machine understands, or is refused.
    private static void TxnRequest(ReadOnlySpan<byte> input)
    {
        if (Known(input, Wire.TxnRequest.Parser, out Wire.TxnRequest? message) is null)
        {
            return;
        }

        var output = new OperationBuffer();
        var limits = new NodeLimits { KeyBytes = 256, ValueBytes = 1024, TxnOperations = 16 };
        try
        {
            TxnCodec.Encode(message!, output, limits);
        }
        catch (HengeException e) when (e.Code is ErrorCode.InvalidArgument or ErrorCode.TooLarge)
        {
            return;
        }

        FuzzCheck.That(CommandView.TryRead(output.Span, out CommandView view) && view.Kind == CommandKind.Txn,
            "a transaction became no command");
        CommandLimits.Check(output.Span, limits);
    }

    private static ByteString Continuation(string start, string end, string key)
    {
        var request = new Wire.ScanRequest { StartKey = Text(start), EndKey = Text(end), Reverse = start.Length > 0, Version = 7 };
        RangeScan scan = ScanPages.Create(request, RespCommandTargets.AnyNode).Scan;
        scan.Advance(new ScanEnd(1, More: true, System.Text.Encoding.UTF8.GetBytes(key)));
        return ByteString.CopyFrom(scan.Continuation().Span);
    }

    // A page never leaves the range that was asked for, whatever the continuation says; and what a page gives to go on with is taken.
    private static void ScanRequest(ReadOnlySpan<byte> input)
    {
        if (Known(input, Wire.ScanRequest.Parser, out Wire.ScanRequest? request) is null)
        {
            return;
        }

        IHengeNode node = RespCommandTargets.AnyNode;
        try
        {
            RangeScan scan = ScanPages.Create(request!, node).Scan;
            ScanQuery page = scan.NextPage();
            ReadOnlySpan<byte> from = request!.Prefix.IsEmpty ? request.StartKey.Span : request.Prefix.Span;
            ReadOnlySpan<byte> end = request.Prefix.IsEmpty ? request.EndKey.Span : KeyRange.EndOfPrefix(from);
            FuzzCheck.That(page.Lower.Span.SequenceCompareTo(from) >= 0, "a page that begins before the range");
            FuzzCheck.That(
                end.IsEmpty || (!page.Upper.IsEmpty && page.Upper.Span.SequenceCompareTo(end) <= 0), "a page that ends behind the range");
            if (!request.Continuation.IsEmpty)
            {
                var again = new Wire.ScanRequest(request) { Continuation = ByteString.CopyFrom(scan.Position().Span) };
                ScanQuery same = ScanPages.Create(again, node).Scan.NextPage();
                FuzzCheck.That(
                    same.Version == page.Version && same.Lower.Span.SequenceEqual(page.Lower.Span)
                        && same.Upper.Span.SequenceEqual(page.Upper.Span),
                    "a continuation leads elsewhere");
            }
        }
        catch (HengeException e) when (e.Code is ErrorCode.InvalidArgument or ErrorCode.TooLarge or ErrorCode.HistoryGone)
        {
            // As documented.
        }
    }

    private static void SessionResult(ReadOnlySpan<byte> input)
    {
        try
        {
            var result = SessionResultFields.Read(input);
            if (result.Kind == Wire.SessionResult.ErrorFieldNumber)
            {
                FuzzCheck.That(SessionDecoder.ReadError(result.Content, "a:1").Message.Length > 0, "an error without a text");
            }
            else if (result.Kind is not 0 and not Wire.SessionResult.ScanFieldNumber)
            {
                SessionDecoder.ReadResult(new SessionCall(null!) { Kind = (SessionCallKind)result.Kind }, result, Nobody);
            }
        }
        catch (FormatException)
        {
            // As documented.
        }
    }

    // Which kind, how long the key, then flags and the bytes of key and value: what the client writes is what the server and Google's
    // reader read.
    private static void SessionOperation(ReadOnlySpan<byte> input)
    {
        if (input.Length < 4)
        {
            return;
        }

        byte[] rest = input[4..].ToArray();
        int keyBytes = Math.Min(input[1], rest.Length);
        ulong version = (ulong)input[2] << input[3] % 56;
        var call = new SessionCall(null!)
        {
            Id = version,
            TimeoutMs = input[2],
            Kind = (SessionCallKind)(2 + (input[0] % 3)),
            Key = rest.AsMemory(0, keyBytes),
            Value = rest.AsMemory(keyBytes)
        };
        bool flag = (input[3] & 1) != 0;
        call.GetOptions = new GetOptions
        {
            AtVersion = new Core.Version(version),
            Consistency = flag ? Client.ReadConsistency.Stale
            : default
        };
        call.PutOptions = new Client.PutOptions
        {
            IfVersion = flag ? new Core.Version(version) : null,
            ReturnPrevious = flag,
            TimeToLive = version > 0 ? TimeSpan.FromMilliseconds(version % (1UL << 40) + 1) : null
        };
        call.DeleteOptions = new DeleteOptions { IfVersion = flag ? new Core.Version(version) : null, ReturnPrevious = !flag };
        var options = new HengeClientOptions();
        int size = SessionEncoder.SizeOf(call, options);
        byte[] written = new byte[SessionEncoder.ElementSizeOf(call, size) + 16];
        int length = SessionEncoder.Write(written, call, size, options);
        FuzzCheck.That(length == SessionEncoder.ElementSizeOf(call, size)
            && length <= keyBytes + call.Value.Length + SessionEncoder.OverheadBytes, "another size than was said");
        Wire.SessionRequest request = Wire.SessionRequest.Parser.ParseFrom(written.AsSpan(0, length));
        Wire.SessionOperation operation = request.Operations[0];
        FuzzCheck.That(request.Operations.Count == 1 && operation.Id == call.Id && (int)operation.OperationCase == (int)call.Kind,
            "another operation");
        ReadOnlySpan<byte> key = call.Kind switch
        {
            SessionCallKind.Get => operation.Get.Key.Span,
            SessionCallKind.Put => operation.Put.Key.Span,
            _ => operation.Delete.Key.Span,
        };
        FuzzCheck.Same(call.Key.Span, key, "a key");
        FuzzCheck.That(call.Kind != SessionCallKind.Put || operation.Put.Value.Span.SequenceEqual(call.Value.Span), "another value");
    }

    private delegate T Reader<T>(ReadOnlySpan<byte> bytes) where T : allows ref struct;

    private static void Tolerate<T>(ReadOnlySpan<byte> input, Reader<T> read) where T : allows ref struct
    {
        try
        {
            read(input);
        }
        catch (MessageFormatException)
        {
            // As documented.
        }
    }
}

using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Operations;
using Henge.Storage;

namespace Henge.Server.Kv;

/// <summary>
/// One get, put or delete: reads its request in place, keeps key and command in its own buffer while the node has it, and writes its answer
/// in place. Made once and used many times. Belongs to one thread at a time.
/// </summary>
internal abstract class KvOperation(IHengeNode node) : Operation
{
    private PinnedValue _pinned;
    private CommandResult _result;
    private bool _returnPrevious;
    private bool _hasPrevious;
    private ulong _ttlRemainingMs;
    private int _previousBytes;

    protected IHengeNode Node { get; } = node;

    /// <summary>Memory of the request, until the answer is written.</summary>
    public OperationBuffer Buffer { get; } = new();

    /// <summary>Which request it is.</summary>
    public KvRequestKind Request { get; protected set; }

    /// <summary>True once a value is pinned by <see cref="PrepareResponse"/>.</summary>
    private bool Found { get; set; }

    /// <summary>Takes a GetRequest. Throws <see cref="HengeException"/> when it makes no sense.</summary>
    public void LoadGet(ReadOnlySpan<byte> message)
    {
        GetFields fields = GetFields.Parse(message);
        KvValidation.CheckKey(fields.HasKey, fields.Key, Node.Limits);
        Request = KvRequestKind.Get;
        Kind = OperationKind.Get;
        ReadVersion = KvValidation.ReadVersion(fields.Version, fields.AtUnixMs, Node);
        Consistency = KvValidation.Consistency(fields.Consistency);
        LeaderOnly = fields.LeaderOnly;
        Buffer.Append(fields.Key);
        Key = Buffer.Memory;
    }

    /// <summary>Takes a PutRequest. Throws <see cref="HengeException"/> when it makes no sense.</summary>
    public void LoadPut(ReadOnlySpan<byte> message)
    {
        PutFields fields = PutFields.Parse(message);
        KvValidation.CheckKey(fields.HasKey, fields.Key, Node.Limits);
        KvValidation.CheckValue(fields.Value, Node.Limits);
        PutOptions options = new()
        {
            Expiry = KvValidation.Ttl(fields.TtlSecs, fields.TtlMs, fields.KeepTtl),
            KeepExpiry = fields.KeepTtl,
            Condition = fields.HasIfVersion ? PutCondition.IfVersion : PutCondition.None,
            IfVersion = KvValidation.IfVersion(fields.IfVersion),
            ReturnPrevious = fields.ReturnPrevious,
            Type = KvValidation.Type(fields.Type),
        };
        SessionStamp session = KvValidation.Session(fields.ClientId, fields.Sequence, fields.SessionFlags);
        BeginCommand(KvRequestKind.Put, fields.Key, fields.Key.Length + fields.Value.Length + 128, fields.LeaderOnly);
        CommandEncoder.Put(Buffer, fields.Key, fields.Value, options, session);
        EndCommand(fields.Key.Length, fields.ReturnPrevious);
    }

    /// <summary>Takes a DeleteRequest. Throws <see cref="HengeException"/> when it makes no sense.</summary>
    public void LoadDelete(ReadOnlySpan<byte> message)
    {
        DeleteFields fields = DeleteFields.Parse(message);
        KvValidation.CheckKey(fields.HasKey, fields.Key, Node.Limits);
        Core.Version? ifVersion = fields.HasIfVersion ? KvValidation.IfVersion(fields.IfVersion) : null;
        SessionStamp session = KvValidation.Session(fields.ClientId, fields.Sequence, fields.SessionFlags);
        BeginCommand(KvRequestKind.Delete, fields.Key, fields.Key.Length + 128, fields.LeaderOnly);
        CommandEncoder.Delete(Buffer, fields.Key, ifVersion, fields.ReturnPrevious, session);
        EndCommand(fields.Key.Length, fields.ReturnPrevious);
    }

    /// <summary>
    /// After completion: reads what the answer needs and returns its size in bytes; -1 when there is an error to tell instead
    /// (<see cref="Operation.Error"/>). Call <see cref="Release"/> afterwards in any case.
    /// </summary>
    public virtual int PrepareResponse()
    {
        if (Error != ErrorCode.None)
        {
            return -1;
        }

        try
        {
            if (Request == KvRequestKind.Get)
            {
                return PrepareGet();
            }

            return PrepareWrite();
        }
        catch (HengeException e)
        {
            Error = e.Code;
            ErrorMessage = e.Message;
            return -1;
        }
    }

    /// <summary>
    /// After an error: the size of the answer that kvstore.KVStore gives to a put or delete that this node does not lead: no success, and
    /// who could do it. -1 when the error is to be told as a status.
    /// </summary>
    public int PrepareRefusal()
    {
        if (Error != ErrorCode.NotLeader || string.IsNullOrEmpty(LeaderHint) || Request is not (KvRequestKind.Put or KvRequestKind.Delete))
        {
            return -1;
        }

        _result = new CommandResult(CommandStatus.Failed, default);
        _hasPrevious = false;
        return ProtoWriter.SizeOfText(LeaderHint);
    }

    /// <summary>Writes the answer's message into a span of the size that <see cref="PrepareResponse"/> gave.</summary>
    public virtual void WriteResponse(Span<byte> destination)
    {
        ProtoWriter writer = new(destination);
        switch (Request)
        {
            case KvRequestKind.Get:
                if (Found)
                {
                    writer.Write(1, _pinned.Span);
                    writer.Write(2, _pinned.Version.Value);
                    writer.Write(3, true);
                    writer.Write(4, _ttlRemainingMs);
                    writer.Write(5, (ulong)_pinned.Type);
                }

                break;
            case KvRequestKind.Put:
                writer.Write(1, _result.Version.Value);
                writer.Write(2, _result.Status == CommandStatus.Ok);
                writer.Write(3, LeaderHint);
                WritePrevious(ref writer, 4);
                break;
            case KvRequestKind.Delete:
                writer.Write(1, _result.Status == CommandStatus.Ok && _result.Found);
                writer.Write(2, _result.Version.Value);
                WritePrevious(ref writer, 3);
                writer.Write(4, _result.Status == CommandStatus.ConditionFailed);
                writer.Write(5, LeaderHint);
                break;
        }
    }

    /// <summary>Lets go of the value and of the buffer, and makes the operation ready for the next request.</summary>
    public void Release()
    {
        if (Found)
        {
            Found = false;
            _pinned.Dispose();
            _pinned = default;
        }

        _hasPrevious = false;
        Buffer.Clear();
        Reset();
    }

    protected void BeginCommand(KvRequestKind request, ReadOnlySpan<byte> key, int sizeBytes, bool leaderOnly)
    {
        // The key stands before the command, in the same buffer; room for both is made first, so that the buffer does not move.
        Request = request;
        Kind = OperationKind.Write;
        LeaderOnly = leaderOnly;
        Buffer.Reserve(key.Length + sizeBytes);
        Buffer.Append(key);
    }

    protected void EndCommand(int keyBytes, bool returnPrevious)
    {
        ReadOnlyMemory<byte> all = Buffer.Memory;
        Key = all[..keyBytes];
        Command = all[keyBytes..];
        _returnPrevious = returnPrevious;
        if (Command.Length > Node.Limits.CommandBytes)
        {
            throw new HengeException(
                ErrorCode.TooLarge,
                $"The command has {Command.Length} bytes; the limit is {Node.Limits.CommandBytes}. Split it, or raise the node's limit for "
                    + $"commands.");
        }
    }

    private int PrepareGet()
    {
        Found = Node.TryRead(this, out _pinned);
        if (!Found)
        {
            return 0;
        }

        _ttlRemainingMs = TtlRemaining(_pinned.ExpiresAtMs, ReadVersion, Node);
        return ProtoWriter.SizeOfBytes(_pinned.Span.Length) + ProtoWriter.SizeOf(_pinned.Version.Value)
            + 2 + ProtoWriter.SizeOf(_ttlRemainingMs) + ProtoWriter.SizeOf((ulong)_pinned.Type);
    }

    private int PrepareWrite()
    {
        _result = CommandResult.Of(this, out ReadOnlySpan<byte> payload);
        if (_result.Status == CommandStatus.Failed)
        {
            Error = _result.Error;
            ErrorMessage = _result.ErrorMessage;
            return -1;
        }

        int size = ProtoWriter.SizeOf(_result.Version.Value) + ProtoWriter.SizeOfText(LeaderHint) + PreparePrevious(payload);
        return Request == KvRequestKind.Put
            ? size + ProtoWriter.SizeOf(_result.Status == CommandStatus.Ok)
            : size
                + ProtoWriter.SizeOf(_result.Status == CommandStatus.Ok && _result.Found)
                + ProtoWriter.SizeOf(_result.Status == CommandStatus.ConditionFailed);
    }

    private int PreparePrevious(ReadOnlySpan<byte> payload)
    {
        _hasPrevious = _returnPrevious && EntryView.TryRead(payload, out EntryView previous) && SizeOfPrevious(previous);
        return _hasPrevious ? ProtoWriter.SizeOfMessage(_previousBytes) : 0;
    }

    private bool SizeOfPrevious(in EntryView previous)
    {
        _ttlRemainingMs = TtlRemaining(previous.ExpiresAtMs, default, Node);
        _previousBytes =
            ProtoWriter.SizeOfBytes(Key.Length)
            + ProtoWriter.SizeOfBytes(previous.Value.Length)
            + ProtoWriter.SizeOf(previous.Version.Value)
            + ProtoWriter.SizeOf(_ttlRemainingMs);
        return true;
    }

    private void WritePrevious(ref ProtoWriter writer, int field)
    {
        if (_hasPrevious)
        {
            CommandResult.Of(this, out ReadOnlySpan<byte> payload);
            EntryView.TryRead(payload, out EntryView previous);
            writer.BeginMessage(field, _previousBytes);
            writer.Write(1, Key.Span);
            writer.Write(2, previous.Value);
            writer.Write(3, previous.Version.Value);
            writer.Write(4, _ttlRemainingMs);
        }
    }

    /// <summary>Milliseconds until an expiry, at least 1, seen from the version that was read at; 0 for never.</summary>
    public static ulong TtlRemaining(long expiresAtMs, Core.Version readVersion, IHengeNode node) => expiresAtMs == 0
        ? 0
        : (ulong)Math.Max(1, expiresAtMs - (readVersion.IsZero ? node.Now : readVersion).Milliseconds);
}

using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Protocol.Messages;
using Henge.Server.Operations;
using Henge.Storage;
using Wire = Henge.Protocol.V1;

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
    private long _ttlRemainingMs;

    protected IHengeNode Node { get; } = node;

    /// <summary>Memory of the request, until the answer is written.</summary>
    public OperationBuffer Buffer { get; } = new();

    /// <summary>Which request it is.</summary>
    public KvRequestKind Request { get; protected set; }

    /// <summary>True once a value is pinned by <see cref="PrepareResponse"/>.</summary>
    private bool Found { get; set; }

    /// <summary>
    /// Takes a GetRequest. Throws <see cref="HengeException"/> when it makes no sense, and <see cref="MessageFormatException"/> when it
    /// is none.
    /// </summary>
    public void LoadGet(ReadOnlySpan<byte> message)
    {
        GetRequestFields fields = GetRequestFields.Read(message);
        KvValidation.CheckKey(fields.HasKey, fields.Key, Node.Limits);
        Request = KvRequestKind.Get;
        Kind = OperationKind.Get;
        ReadVersion = KvValidation.ReadVersion(fields.Version, fields.AtUnixMs, Node);
        Consistency = KvValidation.Consistency((ulong)fields.Consistency);
        LeaderOnly = fields.LeaderOnly;
        Buffer.Append(fields.Key);
        Key = Buffer.Memory;
    }

    /// <summary>
    /// Takes a PutRequest. Throws <see cref="HengeException"/> when it makes no sense, and <see cref="MessageFormatException"/> when it
    /// is none.
    /// </summary>
    public void LoadPut(ReadOnlySpan<byte> message)
    {
        PutRequestFields fields = PutRequestFields.Read(message);
        KvValidation.CheckKey(fields.HasKey, fields.Key, Node.Limits);
        KvValidation.CheckValue(fields.Value, Node.Limits);
        PutOptions options = new()
        {
            Expiry = KvValidation.Ttl(fields.TtlSecs, fields.TtlMs, fields.KeepTtl),
            KeepExpiry = fields.KeepTtl,
            Condition = fields.HasIfVersion ? PutCondition.IfVersion : PutCondition.None,
            IfVersion = KvValidation.IfVersion(fields.IfVersion),
            ReturnPrevious = fields.ReturnPrevious,
            Type = KvValidation.Type((ulong)fields.Type),
        };
        SessionStamp session = KvValidation.Session(fields.ClientId, fields.Sequence, fields.SessionFlags);
        BeginCommand(KvRequestKind.Put, fields.Key, fields.Key.Length + fields.Value.Length + 128, fields.LeaderOnly);
        CommandEncoder.Put(Buffer, fields.Key, fields.Value, options, session);
        EndCommand(fields.Key.Length, fields.ReturnPrevious);
    }

    /// <summary>
    /// Takes a DeleteRequest. Throws <see cref="HengeException"/> when it makes no sense, and <see cref="MessageFormatException"/> when it
    /// is none.
    /// </summary>
    public void LoadDelete(ReadOnlySpan<byte> message)
    {
        DeleteRequestFields fields = DeleteRequestFields.Read(message);
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
        return Request == KvRequestKind.Put ? PutResponse().Size : DeleteResponse().Size;
    }

    /// <summary>Writes the answer's message into a span of the size that <see cref="PrepareResponse"/> gave.</summary>
    public virtual void WriteResponse(Span<byte> destination)
    {
        FieldWriter writer = new(destination);
        switch (Request)
        {
            case KvRequestKind.Get:
                GetResponse().Write(ref writer);
                break;
            case KvRequestKind.Put:
                PutResponse().Write(ref writer);
                break;
            case KvRequestKind.Delete:
                DeleteResponse().Write(ref writer);
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
        KvValidation.CheckCommand(Command.Length, Node.Limits);
    }

    private int PrepareGet()
    {
        Found = Node.TryRead(this, out _pinned);
        if (!Found)
        {
            return GetResponse().Size;
        }

        _ttlRemainingMs = TimeToLive.Remaining(_pinned.ExpiresAtMs, ReadVersion, Node);
        return GetResponse().Size;
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

        _hasPrevious = false;
        if (_returnPrevious && EntryView.TryRead(payload, out EntryView previous))
        {
            _hasPrevious = true;
            _ttlRemainingMs = TimeToLive.Remaining(previous.ExpiresAtMs, default, Node);
        }

        return Request == KvRequestKind.Put ? PutResponse().Size : DeleteResponse().Size;
    }

    private GetResponseFields GetResponse() => Found
        ? new()
        {
            Found = true,
            Value = _pinned.Span,
            Version = _pinned.Version.Value,
            TtlRemainingMs = _ttlRemainingMs,
            Type = (Wire.DataType)_pinned.Type,
            LeaderHint = new(LeaderHint),
            LeaderTerm = LeaderTerm.Value,
        }
        : new() { LeaderHint = new(LeaderHint), LeaderTerm = LeaderTerm.Value };

    private PutResponseFields PutResponse() => new()
    {
        Version = _result.Version.Value,
        Success = _result.Status == CommandStatus.Ok,
        LeaderHint = new(LeaderHint),
        LeaderTerm = LeaderTerm.Value,
        HasPrevious = _hasPrevious,
        Previous = Previous(),
    };

    private DeleteResponseFields DeleteResponse() => new()
    {
        Success = _result.Status == CommandStatus.Ok && _result.Found,
        Version = _result.Version.Value,
        HasPrevious = _hasPrevious,
        Previous = Previous(),
        ConditionFailed = _result.Status == CommandStatus.ConditionFailed,
        LeaderHint = new(LeaderHint),
        LeaderTerm = LeaderTerm.Value,
    };

    private KeyValueFields Previous()
    {
        if (!_hasPrevious)
        {
            return default;
        }

        CommandResult.Of(this, out ReadOnlySpan<byte> payload);
        EntryView.TryRead(payload, out EntryView previous);
        return new()
        {
            Key = Key.Span,
            Value = previous.Value,
            Version = previous.Version.Value,
            TtlRemainingMs = _ttlRemainingMs,
        };
    }
}

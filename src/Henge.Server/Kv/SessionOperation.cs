using Google.Protobuf;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Messages;
using Henge.Protocol.V1;
using Henge.Server.Operations;
using Wire = Henge.Protocol.V1;

namespace Henge.Server.Kv;

/// <summary>One operation of a session. Pooled by its session.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage(
    "Design",
    "CA1001",
    Justification = "Pooled: Recycle clears the page, which is all that disposing of the pages does."
)]
internal sealed class SessionOperation(IHengeNode node, SessionStream session) : KvOperation(node), IThreadPoolWorkItem
{
    private TxnRequest? _txn;
    private ScanPages? _scan;
    private IMessage? _message;
    private bool _failed;
    private int _innerBytes;

    /// <summary>The caller's number for it.</summary>
    public ulong Id { get; set; }

    /// <summary>The next one in the list of what has completed.</summary>
    public SessionOperation? NextDone { get; set; }

    /// <summary>Bytes of memory that the request took, for the session's bound.</summary>
    public int RequestBytes { get; private set; }

    /// <summary>When it came, by Stopwatch.</summary>
    public long StartTimestamp { get; set; }

    /// <summary>What of <see cref="RequestBytes"/> the session counts.</summary>
    public int Accounted { get; set; }

    /// <summary>Bytes of its SessionResult in the response that is being written.</summary>
    public int ResultBytes { get; set; }

    /// <summary>
    /// Takes what a SessionOperation asks for, from the field with a number. Throws <see cref="HengeException"/> when it makes no sense, or
    /// <see cref="MessageFormatException"/>.
    /// </summary>
    public void Load(int field, ReadOnlySpan<byte> message)
    {
        RequestBytes = message.Length;
        switch (field)
        {
            case Wire.SessionOperation.GetFieldNumber:
                LoadGet(message);
                break;
            case Wire.SessionOperation.PutFieldNumber:
                LoadPut(message);
                break;
            case Wire.SessionOperation.DeleteFieldNumber:
                LoadDelete(message);
                break;
            case Wire.SessionOperation.TxnFieldNumber:
                LoadTxn(message);
                break;
            case Wire.SessionOperation.ScanFieldNumber:
                LoadScan(message);
                break;
            default:
                throw KvValidation.Invalid(
                    "The operation is empty, or of a kind that this server does not know: set get, put, delete, txn or scan.");
        }
    }

    /// <summary>Makes it end with an error without having been submitted.</summary>
    public void Refuse(ErrorCode code, string message)
    {
        Error = code;
        ErrorMessage = message;
    }

    /// <summary>After completion: bytes of its SessionResult, head included.</summary>
    public int Prepare()
    {
        _innerBytes = PrepareResponse();
        _failed = _innerBytes < 0;
        if (_failed)
        {
            _innerBytes = Failure().Size;
        }

        return SessionResultFields.SizeInResponse(Id, _innerBytes);
    }

    /// <summary>Writes the SessionResult as one of the results of a SessionResponse.</summary>
    public void WriteResult(Span<byte> destination)
    {
        FieldWriter writer = new(destination);
        SessionResultFields.BeginInResponse(ref writer, Id, ResultField, _innerBytes);
        if (_failed)
        {
            Failure().Write(ref writer);
        }
        else
        {
            WriteResponse(writer.Take(_innerBytes));
        }
    }

    public override int PrepareResponse()
    {
        try
        {
            if (Request < KvRequestKind.Txn || Error != ErrorCode.None)
            {
                return base.PrepareResponse();
            }

            if (_scan is not null)
            {
                return _scan.Page.Length;
            }

            _message = TxnCodec.Decode(this, _txn!, Node);
            return _message.CalculateSize();
        }
        catch (HengeException e)
        {
            Refuse(e.Code, e.Message);
        }
        catch (Exception e)
        {
            // One bad operation must not take the others of its stream with it.
            RefuseUnexpected(e);
        }

        return -1;
    }

    public override void WriteResponse(Span<byte> destination)
    {
        if (_message is not null)
        {
            _message.WriteTo(destination);
        }
        else if (_scan is not null)
        {
            _scan.Page.Span.CopyTo(destination);
        }
        else
        {
            base.WriteResponse(destination);
        }
    }

    /// <summary>Makes it ready for the next request.</summary>
    public void Recycle()
    {
        _scan?.Dispose();
        _scan = null;
        _txn = null;
        _message = null;
        _failed = false;
        NextDone = null;
        RequestBytes = 0;
        Accounted = 0;
        Release();
    }

    void IThreadPoolWorkItem.Execute() => _ = ReadPageAsync();

    protected override void OnCompleted()
    {
        if (_scan is not null && Error == ErrorCode.None)
        {
            // A page is too much work for the thread that finished the barrier.
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
        else
        {
            session.Complete(this);
        }
    }

    private ErrorFields Failure() => new()
    {
        Code = (uint)Error,
        Message = new(ErrorMessage ?? "The operation failed."),
        LeaderHint = new(LeaderHint),
        LeaderTerm = LeaderTerm.Value,
    };

    private int ResultField => _failed ? SessionResult.ErrorFieldNumber : Request switch
    {
        KvRequestKind.Get => SessionResult.GetFieldNumber,
        KvRequestKind.Put => SessionResult.PutFieldNumber,
        KvRequestKind.Delete => SessionResult.DeleteFieldNumber,
        KvRequestKind.Txn => SessionResult.TxnFieldNumber,
        _ => SessionResult.ScanFieldNumber,
    };

    private async Task ReadPageAsync()
    {
        try
        {
            _scan!.Scan.Begin(Version);
            await _scan.ReadAsync(CancellationToken.None);
        }
        catch (HengeException e)
        {
            Refuse(e.Code, e.Message);
        }
        catch (Exception e)
        {
            RefuseUnexpected(e);
        }

        session.Complete(this);
    }

    private void RefuseUnexpected(Exception e)
    {
        Refuse(ErrorCode.Internal, $"An internal error ({e.GetType().Name}). This is a bug in Henge; the server's log has more.");
        session.ReportFailure(e);
    }

    private void LoadTxn(ReadOnlySpan<byte> message)
    {
        _txn = MessageFormatException.Parse(TxnRequest.Parser, message);
        Request = KvRequestKind.Txn;
        Kind = OperationKind.Write;
        LeaderOnly = _txn.LeaderOnly;
        Key = TxnCodec.Encode(_txn, Buffer, Node.Limits);
        Command = Buffer.Memory;
    }

    private void LoadScan(ReadOnlySpan<byte> message)
    {
        ScanRequest request = MessageFormatException.Parse(ScanRequest.Parser, message);
        Request = KvRequestKind.Scan;
        _scan = ScanPages.Create(request, Node);
        _scan.Scan.LoadBarrier(this);
    }
}

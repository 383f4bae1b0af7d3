using System.Buffers;
using Grpc.Core;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.Messages;
using Henge.Server.Calls;
using Henge.Server.Operations;

namespace Henge.Server.Kv;

/// <summary>
/// Get, Put and Delete as calls of their own: the paths that most requests of stock clients take. The message of a request and that of its
/// answer are one pooled operation, which is read and written in place: no message objects. Thread-safe.
/// </summary>
internal sealed class KvUnaryCalls(IHengeNode node, CallGate gate)
{
    private static readonly KvRequestKind[] Kinds = [KvRequestKind.Get, KvRequestKind.Put, KvRequestKind.Delete];

    private readonly KvUnaryPool _pool = new(node, gate);

    /// <summary>Adds the methods to a service.</summary>
    /// <param name="methods">Where to.</param>
    /// <param name="service">The service's name.</param>
    /// <param name="refusesInMessage">A write that this node does not lead is refused in the answer's message.</param>
    public void AddTo(ServiceMethods methods, string service, bool refusesInMessage)
    {
        Marshaller<KvUnaryOperation> answers = new(Write, static _ => throw new NotSupportedException());
        foreach (KvRequestKind kind in Kinds)
        {
            Marshaller<KvUnaryOperation> requests = new(
                static (_, _) => throw new NotSupportedException(),
                context => KvUnaryOperation.TakeBegun() ?? Read(context.PayloadAsReadOnlySequence(), kind));
            methods.AddBare(
                new Method<KvUnaryOperation, KvUnaryOperation>(MethodType.Unary, service, kind.ToString(), requests, answers),
                (operation, context) => operation.AnswerAsync(context, refusesInMessage));
        }
    }

    /// <summary>What begins the requests of a method before the library is entered; null: the method is none of these.</summary>
    public IEarlyMethod? EarlyOf(string method) =>
        Kinds.Where(kind => kind.ToString() == method).Select(kind => new Early(this, kind)).FirstOrDefault();

    private KvUnaryOperation Read(in ReadOnlySequence<byte> message, KvRequestKind kind)
    {
        KvUnaryOperation operation = _pool.Rent();
        if (message.IsSingleSegment)
        {
            Load(operation, message.FirstSpan, kind);
            return operation;
        }

        int length = (int)message.Length;
        byte[] whole = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            message.CopyTo(whole);
            Load(operation, whole.AsSpan(0, length), kind);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(whole);
        }

        return operation;
    }

    private static void Load(KvUnaryOperation operation, ReadOnlySpan<byte> message, KvRequestKind kind)
    {
        try
        {
            switch (kind)
            {
                case KvRequestKind.Get:
                    operation.LoadGet(message);
                    break;
                case KvRequestKind.Put:
                    operation.LoadPut(message);
                    break;
                default:
                    operation.LoadDelete(message);
                    break;
            }
        }
        catch (HengeException e)
        {
            // Told by the handler, where the call has an end to put it in.
            operation.Refuse(e);
        }
        catch (MessageFormatException e)
        {
            operation.Refuse(CallErrors.Malformed(e));
        }
    }

    private static void Write(KvUnaryOperation operation, SerializationContext context)
    {
        int size = operation.ResponseBytes;
        context.SetPayloadLength(size);
        IBufferWriter<byte> writer = context.GetBufferWriter();
        if (size > 0)
        {
            operation.WriteResponse(writer.GetSpan(size)[..size]);
            writer.Advance(size);
        }

        operation.Answered();
        context.Complete();
    }

    private sealed class Early(KvUnaryCalls calls, KvRequestKind kind) : IEarlyMethod
    {
        public IEarlyCall Read(in ReadOnlySequence<byte> message) => calls.Read(message, kind);
    }
}

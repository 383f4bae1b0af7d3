using Google.Protobuf;
using Henge.Client.Mapping;
using Henge.Protocol.Messages;
using Wire = Henge.Protocol.V1;

namespace Henge.Client.Sessions;

/// <summary>
/// Writes operations straight into a stream's buffer: what <c>SessionRequest { operations: [...] }</c> comes to on the wire, without
/// message objects between. A repeated field is its elements one after the other, so that operations can be added to an open message as
/// they come. Pure functions.
/// </summary>
internal static class SessionEncoder
{
    /// <summary>Most bytes around key and value of one operation that is no transaction.</summary>
    public const int OverheadBytes = 128;

    /// <summary>Bytes of the operation's own message (GetRequest and so on).</summary>
    public static int SizeOf(SessionCall call, HengeClientOptions client) => call.Kind switch
    {
        SessionCallKind.Get => Get(call, client).Size,
        SessionCallKind.Put => Put(call).Size,
        SessionCallKind.Delete => Delete(call).Size,
        _ => call.Txn!.CalculateSize(),
    };

    /// <summary>Bytes of the whole element of the repeated field, for an operation's message of <paramref name="size"/> bytes.</summary>
    public static int ElementSizeOf(SessionCall call, int size) => SessionOperationFields.SizeInRequest(call.Id, call.TimeoutMs, size);

    /// <summary>Writes the element; returns its bytes.</summary>
    public static int Write(Span<byte> target, SessionCall call, int size, HengeClientOptions client)
    {
        FieldWriter writer = new(target);
        SessionOperationFields.BeginInRequest(ref writer, call.Id, call.TimeoutMs, (int)call.Kind, size);
        switch (call.Kind)
        {
            case SessionCallKind.Get:
                Get(call, client).Write(ref writer);
                break;
            case SessionCallKind.Put:
                Put(call).Write(ref writer);
                break;
            case SessionCallKind.Delete:
                Delete(call).Write(ref writer);
                break;
            default:
                call.Txn!.WriteTo(writer.Take(size));
                break;
        }

        return writer.Position;
    }

    private static GetRequestFields Get(SessionCall call, HengeClientOptions client)
    {
        GetOptions options = call.GetOptions!;
        return new()
        {
            HasKey = true,
            Key = call.Key.Span,
            Version = options.AtVersion.Value,
            AtUnixMs = WireMapping.TimeOf(options),
            Consistency = options.Consistency.ToWire(client),
        };
    }

    private static PutRequestFields Put(SessionCall call)
    {
        PutOptions options = call.PutOptions!;
        return new()
        {
            HasKey = true,
            Key = call.Key.Span,
            Value = call.Value.Span,
            TtlMs = WireMapping.TtlMs(options),
            HasIfVersion = options.IfVersion.HasValue,
            IfVersion = options.IfVersion.GetValueOrDefault().Value,
            ReturnPrevious = options.ReturnPrevious,
            ClientId = call.Number.ClientId,
            Sequence = call.Number.Sequence,
            KeepTtl = options.KeepTimeToLive,
            SessionFlags = call.Number.Flags,
            Type = (Wire.DataType)options.Type,
        };
    }

    private static DeleteRequestFields Delete(SessionCall call)
    {
        DeleteOptions options = call.DeleteOptions!;
        return new()
        {
            HasKey = true,
            Key = call.Key.Span,
            HasIfVersion = options.IfVersion.HasValue,
            IfVersion = options.IfVersion.GetValueOrDefault().Value,
            ReturnPrevious = options.ReturnPrevious,
            ClientId = call.Number.ClientId,
            Sequence = call.Number.Sequence,
            SessionFlags = call.Number.Flags,
        };
    }
}

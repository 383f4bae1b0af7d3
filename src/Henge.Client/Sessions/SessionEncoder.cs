using Google.Protobuf;

namespace Henge.Client;

/// <summary>
/// Writes operations straight into a stream's buffer: what <c>SessionRequest { operations: [...] }</c> comes to on the wire, without
/// message objects between. A repeated field is its elements one after the other, so that operations can be added to an open message as
/// they come. Pure functions.
/// </summary>
internal static class SessionEncoder
{
    /// <summary>Most bytes around key and value of one operation that is no transaction.</summary>
    public const int OverheadBytes = 128;

    private const int TimeoutField = 7;

    /// <summary>Bytes of the operation's own message (GetRequest and so on).</summary>
    public static int SizeOf(SessionCall call, HengeClientOptions client) => call.Kind switch
    {
        SessionCallKind.Get => WireSize.Message(call.Key.Length)
            + WireSize.Number(call.GetOptions!.AtVersion.Value)
            + WireSize.Number((ulong)WireMapping.TimeOf(call.GetOptions))
            + WireSize.Number((ulong)call.GetOptions.Consistency.ToWire(client)),
        SessionCallKind.Put => WireSize.Message(call.Key.Length)
            + WireSize.Bytes(call.Value.Length)
            + WireSize.Number(WireMapping.TtlMs(call.PutOptions!))
            + (call.PutOptions!.IfVersion is { } version ? 1 + WireSize.Varint(version.Value) : 0)
            + (call.PutOptions.ReturnPrevious ? 2 : 0)
            + WireSize.Number(call.Number.ClientId)
            + WireSize.Number(call.Number.Sequence)
            + (call.PutOptions.KeepTimeToLive ? 2 : 0)
            + WireSize.Number(call.Number.Flags)
            + WireSize.Number((ulong)call.PutOptions.Type),
        SessionCallKind.Delete => WireSize.Message(call.Key.Length)
            + (call.DeleteOptions!.IfVersion is { } version ? 1 + WireSize.Varint(version.Value) : 0)
            + (call.DeleteOptions.ReturnPrevious ? 2 : 0)
            + WireSize.Number(call.Number.ClientId)
            + WireSize.Number(call.Number.Sequence)
            + WireSize.Number(call.Number.Flags),
        _ => call.Txn!.CalculateSize(),
    };

    /// <summary>Bytes of the whole element of the repeated field, for an operation's message of <paramref name="size"/> bytes.</summary>
    public static int ElementSizeOf(SessionCall call, int size) => WireSize.Message(BodySizeOf(call, size));

    /// <summary>Writes the element; returns its bytes.</summary>
    public static int Write(Span<byte> target, SessionCall call, int size, HengeClientOptions client)
    {
        WireWriter writer = new(target);
        writer.Head(1, BodySizeOf(call, size));
        writer.Number(1, call.Id);
        writer.Number(TimeoutField, call.TimeoutMs);
        writer.Head((int)call.Kind, size);
        switch (call.Kind)
        {
            case SessionCallKind.Get:
                writer.Message(1, call.Key.Span);
                writer.Number(2, call.GetOptions!.AtVersion.Value);
                writer.Number(3, (ulong)WireMapping.TimeOf(call.GetOptions));
                writer.Number(4, (ulong)call.GetOptions.Consistency.ToWire(client));
                break;
            case SessionCallKind.Put:
                PutOptions put = call.PutOptions!;
                writer.Message(1, call.Key.Span);
                writer.Bytes(2, call.Value.Span);
                writer.Number(4, WireMapping.TtlMs(put));
                if (put.IfVersion is { } putVersion)
                {
                    writer.Present(5, putVersion.Value);
                }

                writer.Number(6, put.ReturnPrevious ? 1u : 0);
                writer.Number(8, call.Number.ClientId);
                writer.Number(9, call.Number.Sequence);
                writer.Number(10, put.KeepTimeToLive ? 1u : 0);
                writer.Number(11, call.Number.Flags);
                writer.Number(12, (ulong)put.Type);
                break;
            case SessionCallKind.Delete:
                DeleteOptions delete = call.DeleteOptions!;
                writer.Message(1, call.Key.Span);
                if (delete.IfVersion is { } deleteVersion)
                {
                    writer.Present(2, deleteVersion.Value);
                }

                writer.Number(3, delete.ReturnPrevious ? 1u : 0);
                writer.Number(5, call.Number.ClientId);
                writer.Number(6, call.Number.Sequence);
                writer.Number(7, call.Number.Flags);
                break;
            default:
                call.Txn!.WriteTo(writer.Take(size));
                break;
        }

        return writer.Length;
    }

    private static int BodySizeOf(SessionCall call, int size) =>
        WireSize.Number(call.Id) + WireSize.Number(call.TimeoutMs) + WireSize.Message(size);
}

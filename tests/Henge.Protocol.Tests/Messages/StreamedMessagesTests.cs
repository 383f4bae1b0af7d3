using Google.Protobuf;
using Henge.Protocol.Messages;
using Henge.Protocol.V1;

namespace Henge.Protocol.Tests.Messages;

/// <summary>What only servers write, piece by piece: it is what generated code writes.</summary>
public sealed class StreamedMessagesTests
{
    [Theory]
    [InlineData(WatchReason.Put, "PUT", true)]
    [InlineData(WatchReason.Delete, "DELETE", false)]
    [InlineData(WatchReason.Expired, "DELETE", true)]
    [InlineData(WatchReason.Progress, "PROGRESS", false)]
    public void An_event_is_written_as_by_generated_code(WatchReason reason, string eventType, bool hasPrevious)
    {
        byte[] token = [1, 2, 3];
        WatchEventFields fields = new()
        {
            Key = "k"u8,
            Value = "v"u8,
            Version = 300,
            Reason = reason,
            HasPrevious = hasPrevious,
            Type = DataType.Hash,
        };
        if (hasPrevious)
        {
            fields.Previous = new() { Key = "k"u8, Value = "old"u8, Version = 299, Type = DataType.Hash };
        }

        byte[] written = new byte[fields.Size + WatchEventFields.SizeOfToken(token.Length)];
        FieldWriter writer = new(written);
        fields.Write(ref writer);
        Assert.Equal(fields.Size, writer.Position);
        WatchEventFields.WriteToken(ref writer, token);
        Assert.Equal(written.Length, writer.Position);

        WatchEvent expected = new()
        {
            Key = ByteString.CopyFromUtf8("k"),
            Value = ByteString.CopyFromUtf8("v"),
            EventType = eventType,
            Version = 300,
            Reason = reason,
            Previous = hasPrevious ? Pair("old", 299, 0) : null,
            ResumeToken = ByteString.CopyFrom(token),
            Type = DataType.Hash,
        };
        Assert.Equal(expected, WatchEvent.Parser.ParseFrom(written));
    }

    [Fact]
    public void A_page_is_written_as_by_generated_code()
    {
        KeyValueFields pair = new() { Key = "k"u8, Value = "v"u8, Version = 7, TtlRemainingMs = 9, Type = DataType.Hash };
        ScanPageFields end = new() { Continuation = "next"u8, Version = 300, Count = 2 };
        byte[] written = new byte[(2 * ScanPageFields.SizeOfPair(pair)) + end.Size];
        FieldWriter writer = new(written);
        ScanPageFields.WritePair(ref writer, pair);
        ScanPageFields.WritePair(ref writer, pair);
        end.Write(ref writer);
        Assert.Equal(written.Length, writer.Position);

        ScanResponse expected = new()
        {
            Pairs = { Pair("v", 7, 9), Pair("v", 7, 9) },
            Continuation = ByteString.CopyFromUtf8("next"),
            Version = 300,
            Count = 2,
        };
        Assert.Equal(expected.ToByteArray(), written);
    }

    private static KeyValue Pair(string value, ulong version, long ttlMs) => new()
    {
        Key = ByteString.CopyFromUtf8("k"),
        Value = ByteString.CopyFromUtf8(value),
        Version = version,
        TtlRemainingMs = ttlMs,
        Type = DataType.Hash,
    };
}

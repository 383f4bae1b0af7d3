using Google.Protobuf;
using Henge.Protocol.Messages;
using Henge.Protocol.V1;

namespace Henge.Protocol.Tests.Messages;

public sealed class SessionFieldsTests
{
    private static readonly byte[] Get = new GetRequest { Key = ByteString.CopyFromUtf8("a"), Version = 9 }.ToByteArray();

    public static TheoryData<int> OperationKinds() =>
    [
        SessionOperation.GetFieldNumber, SessionOperation.PutFieldNumber, SessionOperation.DeleteFieldNumber,
        SessionOperation.TxnFieldNumber, SessionOperation.ScanFieldNumber,
    ];

    public static TheoryData<int> ResultKinds() =>
    [
        SessionResult.GetFieldNumber, SessionResult.PutFieldNumber, SessionResult.DeleteFieldNumber,
        SessionResult.TxnFieldNumber, SessionResult.ScanFieldNumber, SessionResult.ErrorFieldNumber,
    ];

    [Theory]
    [MemberData(nameof(OperationKinds))]
    public void Operations_are_written_and_read_as_generated_code_does(int kind)
    {
        byte[] request = [.. Operation(7, 250, kind, []), .. Operation(0, 0, kind, [])];
        SessionRequest parsed = SessionRequest.Parser.ParseFrom(request);
        Assert.Equal([(7ul, 250u, kind), (0ul, 0u, kind)], parsed.Operations.Select(static o => (o.Id, o.TimeoutMs, (int)o.OperationCase)));

        FieldReader reader = new(parsed.ToByteArray());
        Assert.True(reader.Read());
        Assert.Equal((uint)SessionOperationFields.Tag, reader.Tag);
        SessionOperationFields fields = SessionOperationFields.Read(reader.Bytes);
        Assert.Equal((7ul, 250u, kind, 0), (fields.Id, fields.TimeoutMs, fields.Kind, fields.Content.Length));
    }

    [Theory]
    [MemberData(nameof(ResultKinds))]
    public void Results_are_written_and_read_as_generated_code_does(int kind)
    {
        byte[] response = new byte[SessionResultFields.SizeInResponse(7, 0)];
        FieldWriter writer = new(response);
        SessionResultFields.BeginInResponse(ref writer, 7, kind, 0);
        Assert.Equal(response.Length, writer.Position);
        SessionResponse parsed = SessionResponse.Parser.ParseFrom(response);
        Assert.Equal([(7ul, kind)], parsed.Results.Select(static r => (r.Id, (int)r.ResultCase)));

        FieldReader reader = new(parsed.ToByteArray());
        Assert.True(reader.Read());
        Assert.Equal((uint)SessionResultFields.Tag, reader.Tag);
        SessionResultFields fields = SessionResultFields.Read(reader.Bytes);
        Assert.Equal((7ul, kind, 0), (fields.Id, fields.Kind, fields.Content.Length));
    }

    [Fact]
    public void The_kinds_above_are_all_that_there_are()
    {
        Assert.Equal(OperationKinds().Count, SessionOperation.Descriptor.Oneofs[0].Fields.Count);
        Assert.Equal(ResultKinds().Count, SessionResult.Descriptor.Oneofs[0].Fields.Count);
    }

    [Fact]
    public void Content_is_handed_out_as_it_came()
    {
        FieldReader reader = new(Operation(1, 0, SessionOperation.GetFieldNumber, Get));
        reader.Read();
        Assert.Equal(Get, SessionOperationFields.Read(reader.Bytes).Content);
    }

    [Fact]
    public void Fields_that_are_not_known_do_not_hide_what_is_asked_for()
    {
        // Behind the get: a number, bytes, eight and four bytes of field 20, and a get that is a number.
        byte[] message = [.. new SessionOperation { Get = GetRequest.Parser.ParseFrom(Get) }.ToByteArray(),
            0xA0, 0x01, 5, 0xA2, 0x01, 1, 6, 0xA1, 0x01, .. new byte[8], 0xA5, 0x01, .. new byte[4],
            SessionOperation.GetFieldNumber << 3, 1];
        SessionOperationFields operation = SessionOperationFields.Read(message);
        Assert.Equal(SessionOperation.GetFieldNumber, operation.Kind);
        Assert.Equal(Get, operation.Content);
        SessionResultFields result = SessionResultFields.Read(message);
        Assert.Equal(SessionResult.GetFieldNumber, result.Kind);
        Assert.Equal(Get, result.Content);
    }

    [Fact]
    public void An_operation_that_was_withdrawn_is_passed_over()
    {
        byte[] first = Operation(1, 0, SessionOperation.GetFieldNumber, Get);
        byte[] request = [.. first, .. Operation(2, 0, SessionOperation.GetFieldNumber, Get)];
        SessionOperationFields.Withdraw(request);
        Assert.Equal([2ul], SessionRequest.Parser.ParseFrom(request).Operations.Select(static o => o.Id));

        FieldReader reader = new(request);
        Assert.True(reader.Read());
        Assert.NotEqual((uint)SessionOperationFields.Tag, reader.Tag);
        Assert.Equal(first.Length, reader.Position);
    }

    private static byte[] Operation(ulong id, uint timeoutMs, int kind, ReadOnlySpan<byte> content)
    {
        byte[] operation = new byte[SessionOperationFields.SizeInRequest(id, timeoutMs, content.Length)];
        FieldWriter writer = new(operation);
        SessionOperationFields.BeginInRequest(ref writer, id, timeoutMs, kind, content.Length);
        content.CopyTo(writer.Take(content.Length));
        Assert.Equal(operation.Length, writer.Position);
        return operation;
    }
}

using Google.Protobuf;
using Google.Protobuf.Reflection;
using Henge.Protocol.Messages;
using Henge.Protocol.V1;

namespace Henge.Protocol.Tests.Messages;

/// <summary>The codec beside the classes that protoc generates: what the one reads and writes, the other reads and writes.</summary>
public sealed class CodecTests
{
    private delegate byte[] Rewriting(ReadOnlySpan<byte> message);

    // What the codec reads of a message, written by the codec.
    private static readonly Dictionary<MessageDescriptor, Rewriting> Codec = new()
    {
        [GetRequest.Descriptor] = static message =>
        {
            GetRequestFields fields = GetRequestFields.Read(message);
            byte[] written = new byte[fields.Size];
            FieldWriter writer = new(written);
            fields.Write(ref writer);
            return Whole(written, writer);
        },
        [GetResponse.Descriptor] = static message =>
        {
            GetResponseFields fields = GetResponseFields.Read(message);
            byte[] written = new byte[fields.Size];
            FieldWriter writer = new(written);
            fields.Write(ref writer);
            return Whole(written, writer);
        },
        [PutRequest.Descriptor] = static message =>
        {
            PutRequestFields fields = PutRequestFields.Read(message);
            byte[] written = new byte[fields.Size];
            FieldWriter writer = new(written);
            fields.Write(ref writer);
            return Whole(written, writer);
        },
        [PutResponse.Descriptor] = static message =>
        {
            PutResponseFields fields = PutResponseFields.Read(message);
            fields.LeaderHint = new(fields.LeaderHint.ToString());
            byte[] written = new byte[fields.Size];
            FieldWriter writer = new(written);
            fields.Write(ref writer);
            return Whole(written, writer);
        },
        [DeleteRequest.Descriptor] = static message =>
        {
            DeleteRequestFields fields = DeleteRequestFields.Read(message);
            byte[] written = new byte[fields.Size];
            FieldWriter writer = new(written);
            fields.Write(ref writer);
            return Whole(written, writer);
        },
        [DeleteResponse.Descriptor] = static message =>
        {
            DeleteResponseFields fields = DeleteResponseFields.Read(message);
            byte[] written = new byte[fields.Size];
            FieldWriter writer = new(written);
            fields.Write(ref writer);
            return Whole(written, writer);
        },
        [KeyValue.Descriptor] = static message =>
        {
            KeyValueFields fields = KeyValueFields.Read(message);
            byte[] written = new byte[fields.Size];
            FieldWriter writer = new(written);
            fields.Write(ref writer);
            return Whole(written, writer);
        },
        [Error.Descriptor] = static message =>
        {
            ErrorFields fields = ErrorFields.Read(message);
            fields.Message = new(fields.Message.ToString());
            byte[] written = new byte[fields.Size];
            FieldWriter writer = new(written);
            fields.Write(ref writer);
            return Whole(written, writer);
        },
    };

    public static TheoryData<string> Messages() => [.. Codec.Keys.Select(static type => type.Name)];

    [Theory]
    [MemberData(nameof(Messages))]
    public void Every_field_is_read_and_written(string name)
    {
        (MessageDescriptor type, Rewriting codec) = Find(name);
        byte[] full = WireGenerator.CreateFull(type);
        Assert.Equal(full, Google(type, full));
        Assert.Equal(full, codec(full));
        Assert.Empty(codec([]));
    }

    [Theory]
    [MemberData(nameof(Messages))]
    public void Whatever_is_sent_is_understood_as_by_generated_code(string name)
    {
        (MessageDescriptor type, Rewriting codec) = Find(name);
        WireGenerator generator = new(1);
        for (int round = 0; round < 5000; round++)
        {
            byte[] message = generator.Create(type);
            Assert.Equal(Google(type, message), codec(message));
        }
    }

    [Theory]
    [MemberData(nameof(Messages))]
    public void A_message_that_is_cut_off_is_refused_where_generated_code_refuses_it(string name)
    {
        (MessageDescriptor type, Rewriting codec) = Find(name);
        WireGenerator generator = new(2);
        int refused = 0;
        for (int round = 0; round < 200; round++)
        {
            byte[] message = generator.Create(type);
            for (int length = 0; length < message.Length; length++)
            {
                byte[]? expected = null;
                try
                {
                    expected = Google(type, message.AsSpan(0, length));
                }
                catch (InvalidProtocolBufferException)
                {
                    refused++;
                }

                if (expected is null)
                {
                    Assert.Throws<MessageFormatException>(() => codec(message.AsSpan(0, length)));
                }
                else
                {
                    Assert.Equal(expected, codec(message.AsSpan(0, length)));
                }
            }
        }

        Assert.NotEqual(0, refused);
    }

    [Theory]
    [MemberData(nameof(Messages))]
    public void What_is_taken_of_any_bytes_is_what_generated_code_takes(string name)
    {
        (MessageDescriptor type, Rewriting codec) = Find(name);
        if (type.Fields.InFieldNumberOrder().Any(static field => field.FieldType is FieldType.Message or FieldType.String))
        {
            // Generated code merges a message that comes twice, and refuses text that is not UTF-8.
            return;
        }

        Random random = new(3);
        int taken = 0;
        for (int round = 0; round < 50_000; round++)
        {
            byte[] message = new byte[random.Next(20)];
            random.NextBytes(message);
            for (int i = 0; i < message.Length; i += random.Next(1, 5))
            {
                // Mostly tags of fields there are, and small lengths.
                message[i] = (byte)(random.Next(14) << 3 | random.Next(3));
            }

            byte[] read;
            try
            {
                read = codec(message);
            }
            catch (MessageFormatException)
            {
                continue;
            }

            taken++;
            Assert.Equal(Google(type, message), read);
        }

        Assert.InRange(taken, 1000, 49_000);
    }

    [Fact]
    public void Every_field_that_is_written_has_a_tag_of_one_byte()
    {
        IEnumerable<MessageDescriptor> written =
        [
            .. Codec.Keys, SessionOperation.Descriptor, SessionResult.Descriptor, SessionRequest.Descriptor, SessionResponse.Descriptor,
            WatchEvent.Descriptor, ScanResponse.Descriptor,
        ];
        Assert.All(
            written.SelectMany(static type => type.Fields.InFieldNumberOrder()),
            static field => Assert.InRange(field.FieldNumber, 1, 15));
    }

    private static (MessageDescriptor Type, Rewriting Codec) Find(string name)
    {
        (MessageDescriptor type, Rewriting codec) = Codec.Single(entry => entry.Key.Name == name);
        return (type, codec);
    }

    private static byte[] Google(MessageDescriptor type, ReadOnlySpan<byte> message) =>
        type.Parser.WithDiscardUnknownFields(true).ParseFrom(message).ToByteArray();

    private static byte[] Whole(byte[] written, in FieldWriter writer)
    {
        Assert.Equal(written.Length, writer.Position);
        return written;
    }
}

using Google.Protobuf;
using Google.Protobuf.Reflection;

namespace Henge.Protocol.Tests.Messages;

/// <summary>
/// Makes messages of a type as any sender might: fields in any order and again and again, numbers in more bytes than they need, fields that
/// nobody knows, and known ones with another wire type. What it makes is always valid. By a seed.
/// </summary>
internal sealed class WireGenerator(int seed)
{
    private readonly Random _random = new(seed);

    /// <summary>A message of a type.</summary>
    public byte[] Create(MessageDescriptor type)
    {
        List<byte> message = [];
        HashSet<int> messages = [];
        for (int fields = _random.Next(8); fields > 0; fields--)
        {
            FieldDescriptor field = type.Fields.InFieldNumberOrder()[_random.Next(type.Fields.InFieldNumberOrder().Count)];
            switch (_random.Next(5))
            {
                case 0:
                    AddUnknown(message, _random.Next(16, _random.Next(2) == 0 ? 20 : 1 << 29));
                    break;
                case 1:
                    AddOfAnotherType(message, field);
                    break;
                default:
                    // The format merges a message that comes twice, and the codec takes the last one: nobody sends that.
                    if (field.FieldType != FieldType.Message || messages.Add(field.FieldNumber))
                    {
                        Add(message, field);
                    }

                    break;
            }
        }

        return [.. message];
    }

    /// <summary>A message with each of its fields, none at its default, by number.</summary>
    public static byte[] CreateFull(MessageDescriptor type)
    {
        List<byte> message = [];
        foreach (FieldDescriptor field in type.Fields.InFieldNumberOrder())
        {
            if (field.FieldType == FieldType.Message)
            {
                AddBytes(message, field.FieldNumber, CreateFull(field.MessageType));
            }
            else if (IsBytes(field))
            {
                AddBytes(message, field.FieldNumber, [(byte)'a', (byte)('a' + field.FieldNumber)]);
            }
            else
            {
                AddNumber(message, field.FieldNumber, 1, 1);
            }
        }

        return [.. message];
    }

    private void Add(List<byte> message, FieldDescriptor field)
    {
        if (field.FieldType == FieldType.Message)
        {
            AddBytes(message, field.FieldNumber, Create(field.MessageType));
        }
        else if (IsBytes(field))
        {
            byte[] bytes = new byte[_random.Next(_random.Next(10) == 0 ? 300 : 6)];
            _random.NextBytes(bytes);
            if (field.FieldType == FieldType.String)
            {
                for (int i = 0; i < bytes.Length; i++)
                {
                    bytes[i] &= 0x7F;
                }
            }

            AddBytes(message, field.FieldNumber, bytes);
        }
        else
        {
            AddNumber(message, field.FieldNumber, Number(), _random.Next(3) == 0 ? _random.Next(1, 11) : 1);
        }
    }

    private void AddUnknown(List<byte> message, int number)
    {
        switch (_random.Next(4))
        {
            case 0:
                AddNumber(message, number, Number(), _random.Next(1, 11));
                break;
            case 1:
                AddBytes(message, number, new byte[_random.Next(4)]);
                break;
            case 2:
                AddFixed(message, number, 1, 8);
                break;
            default:
                AddFixed(message, number, 5, 4);
                break;
        }
    }

    private void AddOfAnotherType(List<byte> message, FieldDescriptor field)
    {
        if (!IsBytes(field))
        {
            AddBytes(message, field.FieldNumber, [1, 2, 3]);
        }
        else if (_random.Next(2) == 0)
        {
            AddNumber(message, field.FieldNumber, Number(), 1);
        }
        else
        {
            AddFixed(message, field.FieldNumber, 1, 8);
        }
    }

    private ulong Number() => (ulong)_random.NextInt64() << _random.Next(2) >> _random.Next(64);

    private static bool IsBytes(FieldDescriptor field) => field.FieldType is FieldType.Bytes or FieldType.String or FieldType.Message;

    private static void AddNumber(List<byte> message, int field, ulong number, int fewestBytes)
    {
        AddVarint(message, (uint)field << 3, 1);
        AddVarint(message, number, fewestBytes);
    }

    private static void AddBytes(List<byte> message, int field, ReadOnlySpan<byte> bytes)
    {
        AddVarint(message, ((uint)field << 3) | 2, 1);
        AddVarint(message, (ulong)bytes.Length, 1);
        message.AddRange(bytes);
    }

    private static void AddFixed(List<byte> message, int field, uint type, int bytes)
    {
        AddVarint(message, ((uint)field << 3) | type, 1);
        message.AddRange(new byte[bytes]);
    }

    private static void AddVarint(List<byte> message, ulong number, int fewestBytes)
    {
        int bytes = Math.Max(fewestBytes, CodedOutputStream.ComputeUInt64Size(number));
        for (int i = 0; i < bytes; i++)
        {
            message.Add((byte)((number & 0x7F) | (i < bytes - 1 ? 0x80u : 0)));
            number >>= 7;
        }
    }
}

using System.Text.Json;
using Henge.Cli.Output;
using Henge.Client;

namespace Henge.Cli.Transfer;

/// <summary>
/// Records as JSON lines: <c>{"key":"…","value":"…"}</c>, with <c>key_base64</c> or <c>value_base64</c> for what is not text, and
/// <c>ttl_ms</c> for what expires. A value that is an object, a list, a number or a truth value is taken as its JSON text. A hash is
/// <c>{"format":2,"key":"…","hash":[{"field":"…","value":"…"}]}</c>, which builds that know no types refuse. Other members are
/// ignored.
/// Pure functions.
/// </summary>
internal static class JsonRecord
{
    /// <summary>Reads a line. Throws <see cref="FormatException"/> with what is wrong.</summary>
    public static TransferRecord Parse(ReadOnlySpan<byte> line)
    {
        byte[]? key = null;
        byte[]? value = null;
        ulong ttlMs = 0;
        DataType type = DataType.Bytes;
        try
        {
            Utf8JsonReader reader = new(line);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                throw new FormatException("the line is not a JSON object, such as {\"key\":\"a\",\"value\":\"1\"}");
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                string name = reader.GetString()!;
                reader.Read();
                switch (name)
                {
                    case "key":
                        SetOnce(ref key, name, TextOf(ref reader, line, name));
                        break;
                    case "key_base64":
                        SetOnce(ref key, name, Base64Of(ref reader, name));
                        break;
                    case "value":
                        SetOnce(ref value, name, TextOf(ref reader, line, name));
                        break;
                    case "value_base64":
                        SetOnce(ref value, name, Base64Of(ref reader, name));
                        break;
                    case "hash":
                        type = DataType.Hash;
                        SetOnce(ref value, name, HashOf(ref reader));
                        break;
                    case "format":
                        if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt32(out int format)
                            || format is < 1 or > TransferRecord.TypedFormat)
                        {
                            throw new FormatException(
                                $"the record's \"format\" is none that this build knows (1 to {TransferRecord.TypedFormat}); import it "
                                    + $"with a newer one");
                        }

                        break;
                    case "ttl_ms":
                        ttlMs =
                            reader.TokenType == JsonTokenType.Number && reader.TryGetUInt64(out ulong ms) && ms > 0
                                ? ms
                                : throw new FormatException(
                                    "\"ttl_ms\" is not a whole number of milliseconds above 0; leave it out for what does not expire");
                        break;
                    default:
                        reader.Skip();
                        break;
                }
            }

            if (reader.TokenType != JsonTokenType.EndObject || reader.Read())
            {
                throw new FormatException("the line is not one JSON object");
            }
        }
        catch (JsonException e)
        {
            throw new FormatException("the line is not valid JSON: " + e.Message, e);
        }
        catch (InvalidOperationException e)
        {
            // Names are decoded as they are read.
            throw new FormatException("the name of a member is not valid text", e);
        }

        return new TransferRecord(
            key ?? throw new FormatException("there is no \"key\""),
            value ?? throw new FormatException("there is no \"value\", and no \"hash\""),
            (long)Math.Min(ttlMs, long.MaxValue),
            type);
    }

    /// <summary>Writes a line with its end.</summary>
    public static void Write(OutputWriter output, in TransferRecord record)
    {
        TransferRecord written = record;
        JsonForm.WriteLine(output, json =>
        {
            if (written.Type != DataType.Bytes)
            {
                json.WriteNumber("format", TransferRecord.TypedFormat);
            }

            json.WriteBytes("key", written.Key.Span);
            json.WriteValue("value", "hash", written.Value, written.Type);
            if (written.TtlMs > 0)
            {
                json.WriteNumber("ttl_ms", written.TtlMs);
            }
        });
    }

    private static byte[] HashOf(ref Utf8JsonReader reader)
    {
        const string Form = "\"hash\" is not a list of objects such as {\"field\":\"a\",\"value\":\"1\"}";
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw new FormatException(Form);
        }

        var fields = new List<HashField>();
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            byte[]? field = null, value = null;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                string name = reader.GetString()!;
                reader.Read();
                switch (name)
                {
                    case "field":
                        SetOnce(ref field, name, StringOf(ref reader, name));
                        break;
                    case "field_base64":
                        SetOnce(ref field, name, Base64Of(ref reader, name));
                        break;
                    case "value":
                        SetOnce(ref value, name, StringOf(ref reader, name));
                        break;
                    case "value_base64":
                        SetOnce(ref value, name, Base64Of(ref reader, name));
                        break;
                    default:
                        throw new FormatException(
                            $"there is a member \"{name}\" within \"hash\"; there are field and value, and both with _base64 behind them");
                }
            }

            fields.Add(new HashField(field ?? throw new FormatException(Form), value ?? throw new FormatException(Form)));
        }

        if (reader.TokenType != JsonTokenType.EndArray)
        {
            throw new FormatException(Form);
        }

        return Encode(fields);
    }

    /// <summary>The bytes of a hash. Throws <see cref="FormatException"/> for one that cannot be.</summary>
    internal static byte[] Encode(List<HashField> fields)
    {
        try
        {
            return HashValue.Encode(fields);
        }
        catch (ArgumentException)
        {
            throw new FormatException(fields.Count == 0 ? "the hash has no fields" : "a field of the hash comes twice");
        }
    }

    private static byte[] StringOf(ref Utf8JsonReader reader, string name) => reader.TokenType == JsonTokenType.String
        ? TextOf(ref reader, default, name)
        : throw new FormatException($"\"{name}\" within \"hash\" is not text; write {name}_base64 for bytes");

    private static void SetOnce(ref byte[]? target, string name, byte[] value) =>
        target = target is null ? value : throw new FormatException($"\"{name}\" is given twice");

    private static byte[] TextOf(ref Utf8JsonReader reader, ReadOnlySpan<byte> line, string name)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.String:
                byte[] text = new byte[reader.ValueSpan.Length];
                try
                {
                    return text[..reader.CopyString(text)];
                }
                catch (InvalidOperationException)
                {
                    throw new FormatException($"\"{name}\" is not valid text; write {name}_base64 for bytes");
                }

            case JsonTokenType.Null:
                throw new FormatException($"\"{name}\" is null");
            default:
                if (name == "key")
                {
                    throw new FormatException("\"key\" is not text");
                }

                int start = (int)reader.TokenStartIndex;
                reader.Skip();
                return line[start..(int)reader.BytesConsumed].ToArray();
        }
    }

    private static byte[] Base64Of(ref Utf8JsonReader reader, string name) =>
        reader.TokenType == JsonTokenType.String && reader.TryGetBytesFromBase64(out byte[]? bytes)
            ? bytes
            : throw new FormatException($"\"{name}\" is not base64");
}

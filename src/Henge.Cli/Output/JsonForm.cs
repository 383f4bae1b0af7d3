using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;
using Henge.Client;

namespace Henge.Cli.Output;

/// <summary>
/// JSON lines. Bytes are text where they are UTF-8; otherwise the name gets <c>_base64</c> behind it, so that nothing is lost.
/// </summary>
internal static class JsonForm
{
    // Text goes to a terminal or a file, not into HTML: nothing but what JSON itself wants is escaped.
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes one object and a line end.</summary>
    public static void WriteLine(OutputWriter output, Action<Utf8JsonWriter> members)
    {
        ArrayBufferWriter<byte> buffer = new(256);
        using (Utf8JsonWriter json = new(buffer, Options))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }

        output.Write(buffer.WrittenSpan);
        output.Write("\n"u8);
    }

    /// <summary>A member that is bytes.</summary>
    public static void WriteBytes(this Utf8JsonWriter json, string name, ReadOnlySpan<byte> bytes)
    {
        if (Utf8.IsValid(bytes))
        {
            json.WriteString(name, bytes);
        }
        else
        {
            json.WriteBase64String(name + "_base64", bytes);
        }
    }

    /// <summary>A value of any type: bytes as above, a hash as a list of objects under a name of its own.</summary>
    public static void WriteValue(this Utf8JsonWriter json, string name, string nameOfHash, ReadOnlyMemory<byte> value, DataType type)
    {
        if (type == DataType.Bytes)
        {
            json.WriteBytes(name, value.Span);
            return;
        }

        json.WriteObjects(nameOfHash, HashValue.Read(value), field =>
        {
            json.WriteBytes("field", field.Field.Span);
            json.WriteBytes("value", field.Value.Span);
        });
    }

    /// <summary>A member that is a list, each element of which is written by <paramref name="write"/>.</summary>
    public static void WriteList<T>(this Utf8JsonWriter json, string name, IEnumerable<T> elements, Action<T> write)
    {
        json.WriteStartArray(name);
        foreach (T element in elements)
        {
            write(element);
        }

        json.WriteEndArray();
    }

    /// <summary>A member that is a list of objects, each of which has its members written by <paramref name="members"/>.</summary>
    public static void WriteObjects<T>(this Utf8JsonWriter json, string name, IEnumerable<T> elements, Action<T> members) =>
        json.WriteList(name, elements, element =>
        {
            json.WriteStartObject();
            members(element);
            json.WriteEndObject();
        });

    /// <summary>The same object as a string, without a line end.</summary>
    public static string ToText(Action<Utf8JsonWriter> members)
    {
        using MemoryStream stream = new();
        OutputWriter output = new(stream);
        WriteLine(output, members);
        output.Flush();
        return System.Text.Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length - 1);
    }
}

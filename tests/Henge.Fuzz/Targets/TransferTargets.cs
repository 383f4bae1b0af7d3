using System.Text;
using Henge.Cli;
using Henge.Cli.Output;
using Henge.Cli.Transfer;
using Henge.Client;

namespace Henge.Fuzz.Targets;

/// <summary>Files that the command line imports, and the bytes of hashes in them.</summary>
internal static class TransferTargets
{
    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("import-tsv", static input => Record(input, TsvRecord.Parse, TsvRecord.Write, keepsTtl: false),
            static () => DoorTargets.Texts("a\tb", "a\\tb\\n\tc\\x00\\\\", "h\t\\h2\tf\tv\tg\t\\xff", "\t")),
        new("import-json", static input => Record(input, JsonRecord.Parse, JsonRecord.Write, keepsTtl: true),
            static () => DoorTargets.Texts(
            "{\"key\":\"a\",\"value\":\"b\",\"ttl_ms\":5}", "{\"key_base64\":\"/w==\",\"value\":{\"x\":[1,2]}}",
                "{\"format\":2,\"key\":\"h\",\"hash\":[{\"field\":\"a\",\"value_base64\":\"AA==\"}]}",
                "{\"key\":\"\\ud83d\\ude00\",\"value\":1e5}")),
        new("import-lines", Lines, static () => DoorTargets.Texts("a\nb\r\n\n\r\nlast", "\n", "", "a\r")) { AllocatedAlways = 512 * 1024 },
        new("hash-value", Hash,
            static () => [HashValue.Encode([new HashField("a"u8.ToArray(), "b"u8.ToArray()),
            new HashField(Array.Empty<byte>(), new byte[200])]), [0], [1, 0, 0]]),
    ];

    private delegate TransferRecord Reader(ReadOnlySpan<byte> line);

    private delegate void Writer(OutputWriter output, in TransferRecord record);

    // What a line says is what the line says that is written of it; and that is one line.
    private static void Record(ReadOnlySpan<byte> input, Reader parse, Writer write, bool keepsTtl)
    {
        TransferRecord record;
        try
        {
            record = parse(input);
        }
        catch (FormatException)
        {
            return;
        }

        using var file = new MemoryStream();
        var output = new OutputWriter(file);
        write(output, record);
        output.Flush();
        byte[] line = file.ToArray();
        FuzzCheck.That(line.AsSpan().IndexOf((byte)'\n') == line.Length - 1, "a record is not one line");
        TransferRecord again = parse(line.AsSpan(0, line.Length - 1));
        FuzzCheck.Same(record.Key.Span, again.Key.Span, "a key");
        FuzzCheck.Same(record.Value.Span, again.Value.Span, "a value");
        FuzzCheck.That(record.Type == again.Type && (!keepsTtl || record.TtlMs == again.TtlMs), "type or time to live");
    }

    private static void Lines(ReadOnlySpan<byte> input)
    {
        using var stream = new MemoryStream(input.ToArray());
        using var reader = new LineReader(stream, 0);
        var found = new List<string>();
        while (reader.ReadAsync(default).AsTask().GetAwaiter().GetResult() is { } line)
        {
            found.Add(Encoding.Latin1.GetString(line.Span));
        }

        string[] expected = Encoding.Latin1.GetString(input).Split('\n');
        if (expected[^1].Length == 0)
        {
            expected = expected[..^1];
        }

        FuzzCheck.That(reader.Offset == input.Length
            && found.SequenceEqual(expected.Select(static line => line.EndsWith('\r') ? line[..^1] : line)), "other lines");
    }

    private static void Hash(ReadOnlySpan<byte> input)
    {
        IReadOnlyList<HashField> fields;
        try
        {
            fields = HashValue.Read(input.ToArray());
        }
        catch (FormatException)
        {
            FuzzCheck.That(!Node.StateMachine.HashReader.IsWellFormed(input), "a node takes a hash that its client cannot read");
            return;
        }

        byte[]? encoded = null;
        try
        {
            encoded = HashValue.Encode(fields);
        }
        catch (ArgumentException)
        {
            // No fields, or one twice.
        }

        FuzzCheck.That((encoded is not null) == Node.StateMachine.HashReader.IsWellFormed(input),
            "client and node do not agree on what is a hash");
        if (encoded is not null)
        {
            IReadOnlyList<HashField> again = HashValue.Read(encoded);
            FuzzCheck.That(
                again.Count == fields.Count
                    && again.Zip(fields).All(static pair => pair.First.Field.Span.SequenceEqual(pair.Second.Field.Span)
                    && pair.First.Value.Span.SequenceEqual(pair.Second.Value.Span)),
                "other fields");
        }
    }
}

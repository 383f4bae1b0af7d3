using System.Globalization;
using System.Text;
using Henge.Core;
using Henge.Server.JsonLines;
using Henge.Server.Ports;
using Henge.Server.Resp.Commands;
using Henge.Server.Resp.Wire;

namespace Henge.Fuzz.Targets;

/// <summary>What clients send to the doors that are told apart by their first bytes.</summary>
internal static class DoorTargets
{
    private const int CommandBytes = 4096, Arguments = 64;

    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("resp-request", RespRequest, static () => Texts(
            "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$2\r\n\0\xff\r\n", "*1\r\n$4\r\nPING\r\n*0\r\n*-1\r\n", "GET a\r\n",
                "set \"a b\\x41\\n\" 'it\\'s'\r\n", "PING\n\n*1\r\n$00004\r\nPING\r\n")),
        new("resp-integer", RespInteger, static () => Texts("0", "-1", "9223372036854775807", "-9223372036854775808", "+1", "01")),
        new("resp-glob", RespGlob, static () => Texts("h*llo\0hello", "h[a-e]llo?\0hallo1", "\\*[^\\]]*\0*abc", "[z-a\0m",
            "a**b*c\0aXbYc")),
        new("resp-scan-cursor", RespScanCursor, static () => [ScanSeed("user:1", "user:22", "user:3", "zebra"), ScanSeed("a", "a\0", "b"),
            ScanSeed("")]),
        new("json-lines", JsonLine, static () => Texts("{\"Set\":{\"key\":\"a\",\"value\":\"b\\u00e9\"}}", "{\"Get\":{\"key\":\"a\"}}",
            "{\"Remove\":{\"key\":\"\\ud83d\\ude00\"}}")),
        new("first-bytes", FirstBytesOfPort, static () => Texts("PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\n", "GET a\r\n", "*1\r\n$4\r\nPING",
            "{\"Get\"", "HGP\x03")),
    ];

    public static IEnumerable<byte[]> Texts(params string[] texts) => texts.Select(Encoding.Latin1.GetBytes);

    // The commands are the same whether the bytes come at once or as few at a time as the parser asks for; and an argument that is written
    // as a bulk string is read as it was.
    private static void RespRequest(ReadOnlySpan<byte> input)
    {
        var whole = new RespParser(CommandBytes, Arguments);
        var pieces = new RespParser(CommandBytes, Arguments);
        int position = 0;
        for (int left = input.Length + 1; left > 0; left--)
        {
            int start = position, available = start;
            RespParse expected = whole.Parse(input, ref position);
            RespParse found;
            int pieceEnd = start;
            do
            {
                pieceEnd = start;
                found = pieces.Parse(input[..available], ref pieceEnd);
                if (found == RespParse.NeedMore)
                {
                    FuzzCheck.That(pieces.NeededBytes > available - start, "the parser asks for bytes that it has");
                    available = Math.Max(available + 1, Math.Min(input.Length, start + pieces.NeededBytes));
                }
            }
            while (found == RespParse.NeedMore && available <= input.Length);

            FuzzCheck.That(found == expected, $"the parser says {expected} of the whole and {found} of its pieces");
            if (expected != RespParse.Command)
            {
                FuzzCheck.That(expected != RespParse.Malformed || whole.Error is { Length: > 0 }, "an error without a text");
                return;
            }

            FuzzCheck.That(position == pieceEnd && whole.Count == pieces.Count, "the pieces make another command than the whole");
            Reparse(whole, input);
        }

        throw new FuzzFailureException("the parser does not move on");
    }

    private static void Reparse(RespParser parsed, ReadOnlySpan<byte> input)
    {
        var request = new List<byte>();
        request.AddRange(Encoding.ASCII.GetBytes($"*{parsed.Count}\r\n"));
        foreach (RespArgument argument in parsed.Arguments)
        {
            request.AddRange(Encoding.ASCII.GetBytes($"${argument.Length}\r\n"));
            request.AddRange(ArgumentOf(parsed, argument, input));
            request.AddRange("\r\n"u8);
        }

        // Inline commands know no limit of arguments but that of their line.
        if (request.Count >= CommandBytes || parsed.Count > Arguments)
        {
            return;
        }

        byte[] encoded = [.. request];
        var again = new RespParser(CommandBytes, Arguments);
        int position = 0;
        FuzzCheck.That(again.Parse(encoded, ref position) == RespParse.Command && position == encoded.Length && again.Count == parsed.Count,
            "a command written anew is not read");
        for (int i = 0; i < again.Count; i++)
        {
            FuzzCheck.Same(ArgumentOf(parsed, parsed.Arguments[i], input), ArgumentOf(again, again.Arguments[i], encoded), "an argument");
        }
    }

    private static ReadOnlySpan<byte> ArgumentOf(RespParser parser, RespArgument argument, ReadOnlySpan<byte> input) =>
        parser.Unquoted is { } unquoted ? unquoted.AsSpan(argument.Offset, argument.Length) : input.Slice(argument.Offset, argument.Length);

    private static void RespInteger(ReadOnlySpan<byte> input)
    {
        if (RespArguments.TryInteger(input, out long value))
        {
            FuzzCheck.Same(input, Encoding.ASCII.GetBytes(value.ToString(CultureInfo.InvariantCulture)), "an integer");
        }
    }

    // The pattern, a zero byte, the text.
    private static void RespGlob(ReadOnlySpan<byte> input)
    {
        int end = input.IndexOf((byte)0);
        ReadOnlySpan<byte> pattern = end < 0 ? input : input[..end], text = end < 0 ? default : input[(end + 1)..];
        byte[] prefix = Glob.LiteralPrefix(pattern);
        FuzzCheck.That(!Glob.Matches(pattern, text) || text.StartsWith(prefix), "a match does not begin with the pattern's literal prefix");
        var escaped = new List<byte>();
        foreach (byte b in text)
        {
            escaped.Add((byte)'\\');
            escaped.Add(b);
        }

        FuzzCheck.That(Glob.Matches([.. escaped], text), "a text does not match itself");
        FuzzCheck.That(Glob.Matches([.. escaped, (byte)'*'], text) && Glob.Matches([(byte)'*', .. escaped], text),
            "a text does not match itself with a star");
        FuzzCheck.Same(text, Glob.LiteralPrefix([.. escaped]), "a literal prefix");
    }

    private static byte[] ScanSeed(params string[] keys) => [.. new byte[] { 0, 0, 0, 0, 0, 0, 0, 6 },
        .. Encoding.Latin1.GetBytes(string.Join('|', keys))];

    // A cursor, and keys with bars between them.
    private static void RespScanCursor(ReadOnlySpan<byte> input)
    {
        if (input.Length < 8)
        {
            return;
        }

        var keys = new KeySet();
        foreach (string key in Encoding.Latin1.GetString(input[8..]).Split('|').Take(64))
        {
            keys.All.Add(Encoding.Latin1.GetBytes(key));
        }

        Now(ScanCursor.DecodeAsync(System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(input), keys));
        foreach (byte[] key in keys.All)
        {
            (ulong cursor, byte[]? run) = Now(ScanCursor.EncodeAsync(key, keys, ScanCursor.MostBits));
            (bool read, byte[]? lower) = Now(ScanCursor.DecodeAsync(cursor, keys));
            FuzzCheck.That(cursor <= long.MaxValue && read, "a cursor that was made is none");

            // Behind the key when the rest of its run is given first; and never behind a key that is not in the run.
            byte[]? next = lower is null ? null : keys.All.FirstOrDefault(k => KeySet.Order.Compare(k, lower) >= 0);
            byte[]? wanted = run is null ? key : keys.All.FirstOrDefault(k => KeySet.Order.Compare(k, key) > 0
                && !k.AsSpan().StartsWith(run));
            FuzzCheck.That((next is null && wanted is null)
                || (next is not null && wanted is not null && next.AsSpan().SequenceEqual(wanted)), "a cursor leads to another key");
        }
    }

    // The keys are here, so there is nothing to wait for.
    private static T Now<T>(ValueTask<T> task)
    {
        FuzzCheck.That(task.IsCompletedSuccessfully, "a cursor waits for something");
        return task.Result;
    }

    private static void JsonLine(ReadOnlySpan<byte> input)
    {
        try
        {
            JsonLinesRequest request = JsonLinesRequest.Parse(input.ToArray());
            FuzzCheck.That((request.Kind == JsonLinesKind.Set) == (request.Value is not null),
                "a value where none belongs, or none where one does");
        }
        catch (HengeException e) when (e.Code == ErrorCode.InvalidArgument)
        {
            // As documented.
        }
    }

    // What is clear of the first bytes stays so, whatever follows.
    private static void FirstBytesOfPort(ReadOnlySpan<byte> input)
    {
        FirstBytesVerdict before = FirstBytesVerdict.NeedMore;
        for (int length = 0; length <= Math.Min(input.Length, 256); length++)
        {
            FirstBytesVerdict verdict = FirstBytes.Judge(input[..length], default, out int other);
            FuzzCheck.That(other == -1, "a protocol that is not there");
            FuzzCheck.That(before is FirstBytesVerdict.NeedMore || verdict == before || verdict is FirstBytesVerdict.Unknown,
                $"{before} became {verdict}");
            before = verdict;
        }
    }

    private sealed class KeySet : IKeyBounds
    {
        public static IComparer<byte[]> Order { get; } = Comparer<byte[]>.Create(static (a, b) => a.AsSpan().SequenceCompareTo(b));

        public SortedSet<byte[]> All { get; } = new(Order);

        public ValueTask<byte[]?> FirstAsync(byte[] prefix) =>
            ValueTask.FromResult(All.FirstOrDefault(key => key.AsSpan().StartsWith(prefix)));

        public ValueTask<byte[]?> LastAsync(byte[] prefix) =>
            ValueTask.FromResult(All.LastOrDefault(key => key.AsSpan().StartsWith(prefix)));
    }
}

using System.IO.Compression;
using System.Text;
using Henge.Core;
using Henge.Node.StateMachine;
using Henge.Protocol;
using Henge.Server.Http;
using Henge.Server.Rest;
using Henge.Storage;

namespace Henge.Fuzz.Targets;

/// <summary>What comes with a request of the REST API: target, query, headers, body.</summary>
internal static class RestTargets
{
    private const int UnpackedBytes = 64 * 1024;
    private static readonly DateTimeOffset Now = new(2026, 11, 26, 0, 0, 0, TimeSpan.Zero);

    public static IReadOnlyList<FuzzTarget> All { get; } =
    [
        new("rest-target", Target, static () => DoorTargets.Texts("/v1/kv/a%2Fb?ttl=5m", "http://host/v1/kv/../x/%2e%2e/y?prefix64=_w", "*",
            "/v1/kv/%ff?a=%C3%A9+b&flag", "/v1/kv/a?limit=4294967296&consistency=stale")),
        new("rest-preconditions", Precondition, static () => DoorTargets.Texts("\"243702194327552\"\n*", "*\n", "\"1\", W/\"2\"\n\"3\"",
            "\n\"18446744073709551615\"")),
        new("rest-body", Body, static () => DoorTargets.Texts(
            "{\"value\":\"a\",\"ttlMs\":5}", "{\"valueBase64\":\"AP8=\"}",
                "{\"hash\":[{\"field\":\"a\",\"valueBase64\":\"/w==\"},{\"fieldBase64\":\"AA==\",\"value\":\"\"}]}")),
        new("rest-event-id", EventId, static () => [.. DoorTargets.Texts("AQEAAAAAAA.5.7", "_w", ""),
            Encoding.ASCII.GetBytes(new EventPosition([1, 2, 3], [(new Core.Version(9), 4)]).ToString())]),
        new("rest-duration", Duration, static () => DoorTargets.Texts("250ms", "1h30m", "7d", "0.5s", "29247w", "1.5.5s")),
        new("rest-moment", Moment, static () => DoorTargets.Texts("now", "5m-ago", "@1764115200.5", "2026-11-20T10:00:00Z", "@253402300799",
            "9999-12-31T23:59:59-14:00")),
        new("gzip-body", Gzip, GzipSeeds) { AllocatedAlways = 512 * 1024 },
    ];

    private static void Target(ReadOnlySpan<byte> input)
    {
        try
        {
            RequestTarget target = RequestTarget.Parse(Encoding.UTF8.GetString(input));
            FuzzCheck.That(target.Path == "*" || target.Path.StartsWith('/'), "a path that is none");
            target.Behind("/v1/kv");
            var query = new RestQuery(target, "a", "limit", "prefix", "prefix64", "ttl", "consistency", "flag", "version");
            query.Bytes("prefix");
            query.Flag("flag");
            query.Number("limit", 1);
            FuzzCheck.That(query.Ttl("ttl").Milliseconds >= 0, "a time to live below zero");
            query.Consistency();
        }
        catch (HengeException e) when (e.Code == ErrorCode.InvalidArgument)
        {
            // As documented.
        }
    }

    // If-Match, a line end, If-None-Match.
    private static void Precondition(ReadOnlySpan<byte> input)
    {
        string[] fields = Encoding.Latin1.GetString(input).Split('\n', 2);
        try
        {
            Preconditions conditions = Preconditions.Parse(fields[0].Length > 0 ? fields[0] : default, fields.Length > 1 ? fields[1]
                : default);
            bool same = conditions.TryToCondition(out PutCondition condition, out Core.Version version);
            foreach (ulong current in (ulong[])[0, 1, version.Value, Core.Version.MaxValue])
            {
                bool met = conditions.Evaluate(new Core.Version(current)) == PreconditionResult.Met;
                bool holds = condition switch
                {
                    PutCondition.IfAbsent => current == 0,
                    PutCondition.IfPresent => current != 0,
                    PutCondition.IfVersion => current == version.Value,
                    _ => true,
                };
                FuzzCheck.That(!same || met == holds, $"at version {current} the preconditions say {met} and {condition} says {holds}");
            }
        }
        catch (HengeException e) when (e.Code == ErrorCode.InvalidArgument)
        {
            // As documented.
        }
    }

    private static void Body(ReadOnlySpan<byte> input)
    {
        try
        {
            Expiry ttl = Expiry.Never;
            byte[] value = RestBody.Parse(input.ToArray(), ref ttl, out DataType type);
            FuzzCheck.That(type != DataType.Hash || HashReader.IsWellFormed(value), "a hash that is not well formed");
            FuzzCheck.That(ttl.Milliseconds is >= 0 and <= CommandLimits.MaxExpiryMs, "a time to live out of range");
        }
        catch (HengeException e) when (e.Code == ErrorCode.InvalidArgument)
        {
            // As documented.
        }
    }

    private static void EventId(ReadOnlySpan<byte> input)
    {
        try
        {
            var id = EventPosition.Parse(Encoding.UTF8.GetString(input));
            var again = EventPosition.Parse(id.ToString());
            FuzzCheck.Same(id.Token, again.Token, "a token");
            FuzzCheck.That(id.Begun.SequenceEqual(again.Begun), "versions that were begun");
        }
        catch (HengeException e) when (e.Code == ErrorCode.InvalidArgument)
        {
            // As documented.
        }
    }

    private static void Duration(ReadOnlySpan<byte> input) =>
        FuzzCheck.That(!TimeText.TryParseDuration(Encoding.UTF8.GetString(input), out TimeSpan duration) || duration >= TimeSpan.Zero,
            "a length of time below zero");

    private static void Moment(ReadOnlySpan<byte> input)
    {
        if (TimeText.TryParseMoment(Encoding.UTF8.GetString(input), Now, local: false, out DateTimeOffset moment))
        {
            moment.ToUnixTimeMilliseconds();
        }
    }

    private static void Gzip(ReadOnlySpan<byte> input)
    {
        try
        {
            byte[]? plain = GzipMember.Inflate(input.ToArray(), UnpackedBytes);
            FuzzCheck.That(plain is null || plain.Length <= UnpackedBytes, "more than the limit");
        }
        catch (InvalidDataException)
        {
            // As documented.
        }
    }

    private static IEnumerable<byte[]> GzipSeeds()
    {
        foreach (int length in (int[])[0, 10, 2000])
        {
            using var packed = new MemoryStream();
            using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
            {
                gzip.Write(Enumerable.Range(0, length).Select(static i => (byte)(i % 7)).ToArray());
            }

            yield return packed.ToArray();
        }

        // With a name and a comment in its header, and nothing else.
        yield return [0x1F, 0x8B, 8, 24, 0, 0, 0, 0, 0, 3, (byte)'a', 0, (byte)'b', 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    }
}

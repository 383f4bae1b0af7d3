using System.IO.Hashing;
using Google.Protobuf;
using Henge.Core;
using Henge.Node.Api;
using Henge.Protocol.V1;

namespace Henge.Server.Operations;

/// <summary>A ScanRequest, checked, and where its scan stands. Mutable: pages move it on.</summary>
internal sealed class ScanPlan
{
    private const int ContinuationVersion = 1;

    private ScanPlan(ScanRequest request, ReadOnlyMemory<byte> lower, ReadOnlyMemory<byte> upper, ulong fingerprint)
    {
        Lower = lower;
        Upper = upper;
        Reverse = request.Reverse;
        KeysOnly = request.KeysOnly;
        CountOnly = request.CountOnly;
        Fingerprint = fingerprint;
    }

    public ReadOnlyMemory<byte> Lower { get; private set; }

    /// <summary>Exclusive; empty: no end.</summary>
    public ReadOnlyMemory<byte> Upper { get; private set; }

    public bool Reverse { get; }

    public bool KeysOnly { get; }

    public bool CountOnly { get; }

    /// <summary>The version that was asked for, and after the barrier the one that is read at.</summary>
    public Core.Version Version { get; set; }

    public ReadConsistency Consistency { get; private init; }

    /// <summary>Pairs that may still be given; <see cref="long.MaxValue"/>: no limit.</summary>
    public long Remaining { get; set; }

    private ulong Fingerprint { get; }

    /// <summary>Checks a request. Throws <see cref="HengeException"/> (InvalidArgument, TooLarge).</summary>
    public static ScanPlan Create(ScanRequest request, IHengeNode node)
    {
        (ReadOnlyMemory<byte> lower, ReadOnlyMemory<byte> upper) = KeyRange.Create(
            request.Prefix,
            request.StartKey,
            request.EndKey,
            node.Limits);
        ScanPlan plan = new(request, lower, upper, FingerprintOf(request))
        {
            Version = KvValidation.ReadVersion(request.Version, request.AtUnixMs, node),
            Consistency = KvValidation.Consistency((ulong)request.Consistency),
            Remaining = request.Limit == 0 ? long.MaxValue : request.Limit,
        };
        if (!request.Continuation.IsEmpty)
        {
            plan.Resume(request.Continuation.Span);
        }

        return plan;
    }

    /// <summary>The query of the next page.</summary>
    public ScanQuery NextPage(NodeLimits limits) => new()
    {
        Version = Version,
        Lower = Lower,
        Upper = Upper,
        Reverse = Reverse,
        KeysOnly = KeysOnly || CountOnly,
        LimitItems = (int)Math.Min(Remaining, limits.ScanPageItems),
        LimitBytes = limits.ScanPageBytes,
    };

    /// <summary>Moves on behind a page.</summary>
    public void Advance(in ScanEnd end)
    {
        if (Remaining != long.MaxValue)
        {
            Remaining -= end.Items;
        }

        if (end.More)
        {
            byte[] next =
                end.NextKey ?? throw new HengeException(ErrorCode.Internal, "A page of a scan says that there is more and not where.");
            if (Reverse)
            {
                Upper = next;
            }
            else
            {
                Lower = next;
            }
        }
    }

    /// <summary>
    /// Where another request can go on: <c>1 | fingerprint u64 LE | version varint | key</c>. The fingerprint is that of range and
    /// direction, so that a token of another scan is noticed.
    /// </summary>
    public ByteString Continuation()
    {
        ReadOnlySpan<byte> key = (Reverse ? Upper : Lower).Span;
        byte[] token = new byte[1 + sizeof(ulong) + Varint.MaxBytes + key.Length];
        token[0] = ContinuationVersion;
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(token.AsSpan(1), Fingerprint);
        int at = 9 + Varint.Write(token.AsSpan(9), Version.Value);
        key.CopyTo(token.AsSpan(at));
        return ByteString.CopyFrom(token, 0, at + key.Length);
    }

    private void Resume(ReadOnlySpan<byte> token)
    {
        if (
            token.Length < 10
            || token[0] != ContinuationVersion
            || !Varint.TryRead(token[9..], out ulong version, out int bytes)
            || version > Core.Version.MaxValue)
        {
            throw KvValidation.Invalid("The continuation is not one that a scan gave. Send the bytes of the last response as they are.");
        }

        if (System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(token[1..]) != Fingerprint)
        {
            throw KvValidation.Invalid(
                "The continuation belongs to a scan of another range or direction. Repeat the request that it came from, and change only "
                    + "the continuation.");
        }

        if (!Version.IsZero && Version.Value != version)
        {
            throw KvValidation.Invalid(
                $"The continuation is of version {version}, and the request asks for {Version}. Leave the version out, or repeat it.");
        }

        byte[] key = token[(9 + bytes)..].ToArray();
        if (key.AsSpan().SequenceCompareTo(Lower.Span) < 0 || (!Upper.IsEmpty && key.AsSpan().SequenceCompareTo(Upper.Span) > 0)
            || (Reverse && key.Length == 0))
        {
            throw KvValidation.Invalid("The continuation stands outside of the range. Send the bytes of the last response as they are.");
        }

        Version = new Core.Version(version);
        if (Reverse)
        {
            Upper = key;
        }
        else
        {
            Lower = key;
        }
    }

    private static ulong FingerprintOf(ScanRequest request)
    {
        OperationBuffer buffer = new();
        foreach (ByteString part in (ReadOnlySpan<ByteString>)[request.Prefix, request.StartKey, request.EndKey])
        {
            Span<byte> length = buffer.GetSpan(Varint.MaxBytes);
            buffer.Advance(Varint.Write(length, (ulong)part.Length));
            buffer.Append(part.Span);
        }

        ulong hash = XxHash64.HashToUInt64(buffer.Span, request.Reverse ? 1 : 0);
        buffer.Clear();
        return hash;
    }
}

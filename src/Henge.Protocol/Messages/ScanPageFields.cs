using Henge.Protocol.V1;

namespace Henge.Protocol.Messages;

/// <summary>What ends a ScanResponse, behind its pairs, each of which is written by itself.</summary>
internal ref struct ScanPageFields
{
    public ReadOnlySpan<byte> Continuation;
    public ulong Version;
    public ulong Count;

    /// <summary>Its bytes on the wire.</summary>
    public readonly int Size =>
        FieldWriter.SizeOfBytes(Continuation.Length) + FieldWriter.SizeOf(Version) + FieldWriter.SizeOf(Count);

    /// <summary>Bytes of a pair as one of a ScanResponse.</summary>
    public static int SizeOfPair(in KeyValueFields pair) => FieldWriter.SizeOfMessage(pair.Size);

    /// <summary>Writes a pair as one of a ScanResponse.</summary>
    public static void WritePair(ref FieldWriter writer, in KeyValueFields pair)
    {
        writer.BeginMessage(ScanResponse.PairsFieldNumber, pair.Size);
        pair.Write(ref writer);
    }

    public readonly void Write(ref FieldWriter writer)
    {
        writer.Write(ScanResponse.ContinuationFieldNumber, Continuation);
        writer.Write(ScanResponse.VersionFieldNumber, Version);
        writer.Write(ScanResponse.CountFieldNumber, Count);
    }
}

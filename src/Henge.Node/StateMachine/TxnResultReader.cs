using System.Buffers;
using Henge.Core;
using Henge.Node.Api;

namespace Henge.Node.StateMachine;

/// <summary>
/// Walks the results of a transaction's commands: <c>(length varint | version varint | encoded result)*</c>, in the order of the branch
/// that ran.
/// </summary>
public ref struct TxnResultReader(ReadOnlySpan<byte> payload)
{
    private SpanReader _reader = new(payload);

    /// <summary>The result.</summary>
    public CommandResult Current { get; private set; }

    /// <summary>Its payload.</summary>
    public ReadOnlySpan<byte> Payload { get; private set; }

    /// <summary>True when the bytes did not make sense.</summary>
    public bool Damaged { get; private set; }

    /// <summary>Moves to the next result.</summary>
    public bool MoveNext()
    {
        if (_reader.IsEmpty || Damaged)
        {
            return false;
        }

        Damaged = true;
        if (_reader.TryReadBytes(out ReadOnlySpan<byte> part))
        {
            var reader = new SpanReader(part);
            if (reader.TryReadVarint(out ulong version) && version <= Core.Version.MaxValue
                && CommandResult.TryRead(new Core.Version(version), reader.Rest, out CommandResult result, out ReadOnlySpan<byte> payload))
            {
                Current = result;
                Payload = payload;
                Damaged = false;
            }
        }

        return !Damaged;
    }
}

using Thrift;
using Thrift.Protocol;
using Thrift.Protocol.Entities;

namespace Henge.Server.Thrift;

/// <summary>
/// A protocol of the library with bounds on the parts of a message. The library lets a list have as many elements as there are bytes left,
/// and each becomes an object of a hundred bytes or so; and each field that is passed over takes a call. Hands on a message's header that
/// has been read already. One thread at a time.
/// </summary>
/// <param name="inner">The protocol.</param>
/// <param name="mostElements">Most elements of a list, a set or a map.</param>
internal sealed class BoundedProtocol(TProtocol inner, int mostElements) : TProtocolDecorator(inner)
{
    /// <summary>Longest name of a call, in characters.</summary>
    public const int MostNameLength = 256;

    // Fields and elements of a message, for each element that a list may have: none of the API's structs has as many.
    private const int PartsOfAnElement = 64;

    private TMessage _message;
    private long _partsLeft;

    /// <summary>Whether an error is one that the library and its generated code throw for bytes that make no sense.</summary>
    public static bool IsMalformed(Exception e) =>
        e is TException or OverflowException or ArgumentException or IndexOutOfRangeException or InvalidOperationException
            or NotImplementedException or InvalidCastException;

    /// <summary>Reads the header of a message. Throws what the library throws for one that is none.</summary>
    public async ValueTask<TMessage> BeginAsync(CancellationToken cancellation)
    {
        _partsLeft = (long)mostElements * PartsOfAnElement;
        _message = await base.ReadMessageBeginAsync(cancellation);
        return _message.Name.Length <= MostNameLength ? _message
            : throw new TProtocolException(TProtocolException.SIZE_LIMIT, $"the name of a call has more than {MostNameLength} characters");
    }

    /// <inheritdoc/>
    public override ValueTask<TMessage> ReadMessageBeginAsync(CancellationToken cancellationToken) => ValueTask.FromResult(_message);

    /// <inheritdoc/>
    public override ValueTask<TField> ReadFieldBeginAsync(CancellationToken cancellationToken)
    {
        Count(1);
        return base.ReadFieldBeginAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public override async ValueTask<TList> ReadListBeginAsync(CancellationToken cancellationToken)
    {
        TList list = await base.ReadListBeginAsync(cancellationToken);
        Check(list.Count);
        return list;
    }

    /// <inheritdoc/>
    public override async ValueTask<TSet> ReadSetBeginAsync(CancellationToken cancellationToken)
    {
        TSet set = await base.ReadSetBeginAsync(cancellationToken);
        Check(set.Count);
        return set;
    }

    /// <inheritdoc/>
    public override async ValueTask<TMap> ReadMapBeginAsync(CancellationToken cancellationToken)
    {
        TMap map = await base.ReadMapBeginAsync(cancellationToken);
        Check(map.Count);
        return map;
    }

    private void Check(int count)
    {
        if (count < 0 || count > mostElements)
        {
            throw new TProtocolException(
                TProtocolException.SIZE_LIMIT, $"a list of {count} elements is announced; the limit is {mostElements}");
        }

        Count(count);
    }

    private void Count(int parts)
    {
        _partsLeft -= parts;
        if (_partsLeft < 0)
        {
            throw new TProtocolException(
                TProtocolException.SIZE_LIMIT, $"the message has more than {mostElements * PartsOfAnElement} fields and elements");
        }
    }
}

using Thrift;
using Thrift.Protocol;
using Thrift.Protocol.Entities;

namespace Henge.Server.Thrift;

/// <summary>Answers that are no results of calls.</summary>
internal static class ThriftAnswers
{
    /// <summary>Writes a TApplicationException: what was asked is no call of this service, or cannot be read.</summary>
    /// <param name="output">Where to. Completed at once where that is memory.</param>
    /// <param name="message">What it answers.</param>
    /// <param name="type">What kind of problem it is.</param>
    /// <param name="text">What is wrong, and what to do.</param>
    public static async Task WriteProblemAsync(
        TProtocol output, TMessage message, TApplicationException.ExceptionType type, string text)
    {
        TMessage answer = new(message.Name, TMessageType.Exception, message.SeqID);
        await output.WriteMessageBeginAsync(answer, CancellationToken.None);
        await new TApplicationException(type, text).WriteAsync(output, CancellationToken.None);
        await output.WriteMessageEndAsync(CancellationToken.None);
    }
}

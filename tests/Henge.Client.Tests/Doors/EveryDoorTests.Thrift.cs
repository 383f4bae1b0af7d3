using System.Net.Sockets;
using Thrift;
using Thrift.Protocol;
using Thrift.Transport;
using Thrift.Transport.Client;
using ErrorCode = Henge.Core.ErrorCode;
using Wire = Henge.Thrift.Generated;

namespace Henge.Client.Tests.Doors;

/// <summary>The Thrift door among the others.</summary>
public sealed partial class EveryDoorTests
{
    private async Task<ErrorCode?> ThriftAsync(byte[] key, byte[] value, long? ttlMs)
    {
        if (ttlMs == 0)
        {
            // As in gRPC's messages, 0 says that there is none.
            return null;
        }

        Wire.PutRequest put = new() { Key = key, Value = value, TtlMs = ttlMs ?? 0 };
        return await ThriftCodeAsync(async calls => await calls.putAsync(put));
    }

    private async Task<ErrorCode> ThriftCodeAsync(Func<Wire.KVStore.Client, Task> call)
    {
        try
        {
            await ThriftCallAsync(call);
            return ErrorCode.None;
        }
        catch (TException e)
        {
            return (ErrorCode)(int)(Wire.ErrorCode)e.GetType().GetProperty("Code")!.GetValue(e)!;
        }
    }

    private async Task ThriftCallAsync(Func<Wire.KVStore.Client, Task> call)
    {
        using TcpClient client = new();
        await client.ConnectAsync(_host.Server.EndPoint);
        await using NetworkStream stream = client.GetStream();
        using TStreamTransport transport = new(stream, stream, new TConfiguration());
        using TFramedTransport framed = new(transport);
        using TCompactProtocol protocol = new(framed);
        await call(new Wire.KVStore.Client(protocol, protocol)).WaitAsync(Patience);
    }
}

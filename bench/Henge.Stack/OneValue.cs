using Google.Protobuf;
using Grpc.Core;
using Henge.Protocol.V1;

namespace Henge.Stack;

/// <summary>
/// The least that a gRPC service can do: one answer to every Get. What it carries is the bound that no store behind the same library can
/// pass.
/// </summary>
internal sealed class OneValue : KVStore.KVStoreBase
{
    private static readonly Task<GetResponse> Answer = Task.FromResult(
        new GetResponse { Found = true, Version = 1UL << 50, Value = ByteString.CopyFrom(new byte[64]) });

    private static long _calls;

    /// <summary>Calls that were answered.</summary>
    public static long Calls => Interlocked.Read(ref _calls);

    /// <inheritdoc/>
    public override Task<GetResponse> Get(GetRequest request, ServerCallContext context)
    {
        Interlocked.Increment(ref _calls);
        return Answer;
    }
}

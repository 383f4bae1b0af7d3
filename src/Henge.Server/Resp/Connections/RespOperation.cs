using Henge.Node.Api;

namespace Henge.Server.Resp.Connections;

/// <summary>An operation of a RESP connection; pooled by it.</summary>
internal sealed class RespOperation(RespBatch batch) : Operation
{
    protected override void OnCompleted() => batch.CompletedOne();
}

using Henge.Core;
using Henge.Protocol.Grpc;

namespace Henge.Protocol.Tests.Grpc;

public sealed class GrpcErrorsTests
{
    [Fact]
    public void Every_error_code_survives_the_way_through_status_and_trailer()
    {
        foreach (ErrorCode code in Enum.GetValues<ErrorCode>())
        {
            GrpcStatusCode status = GrpcErrors.ToStatus(code);
            Assert.Equal(code == ErrorCode.None, status == GrpcStatusCode.Ok);
            Assert.Equal(code, GrpcErrors.ToErrorCode(status, code == ErrorCode.None ? null : GrpcErrors.ToTrailer(code)));
            Assert.True(Enum.IsDefined(GrpcErrors.ToErrorCode(status, null)));
        }
    }
}

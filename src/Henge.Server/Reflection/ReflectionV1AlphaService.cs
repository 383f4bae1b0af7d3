using Google.Protobuf;
using Henge.Protocol.Grpc;
using Henge.Protocol.ReflectionV1Alpha;
using Henge.Server.Grpc;

namespace Henge.Server.Reflection;

/// <summary><c>grpc.reflection.v1alpha.ServerReflection</c>. The same as v1 under its older name, which many tools still ask first.</summary>
internal sealed class ReflectionV1AlphaService(Func<DescriptorIndex> descriptors)
{
    public const string Name = "grpc.reflection.v1alpha.ServerReflection";

    public GrpcService Create() => new(Name, ReflectionReflection.Descriptor.Services[0], new Dictionary<string, GrpcMethod>
    {
        ["ServerReflectionInfo"] = new DuplexMethod<ServerReflectionRequest, ServerReflectionResponse>(ServeAsync),
    });

    private async Task ServeAsync(
        MessageReader<ServerReflectionRequest> requests, MessageWriter<ServerReflectionResponse> responses, ServerCall call)
    {
        while (await requests.ReadAsync() is { } request)
        {
            await responses.WriteAsync(Answer(request));
        }
    }

    private ServerReflectionResponse Answer(ServerReflectionRequest request)
    {
        DescriptorIndex index = descriptors();
        ServerReflectionResponse response = new() { ValidHost = request.Host, OriginalRequest = request };
        switch (request.MessageRequestCase)
        {
            case ServerReflectionRequest.MessageRequestOneofCase.ListServices:
                response.ListServicesResponse = new ListServiceResponse
                {
                    Service = { index.Services.Select(name => new ServiceResponse { Name = name }) },
                };
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.FileByFilename:
                AddFile(response, index.FindFile(request.FileByFilename), $"file \"{request.FileByFilename}\"");
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.FileContainingSymbol:
                string? file = index.FindSymbol(request.FileContainingSymbol);
                AddFile(response, file is null ? null : index.FindFile(file), $"symbol \"{request.FileContainingSymbol}\"");
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.AllExtensionNumbersOfType when index.IsSymbol(request.AllExtensionNumbersOfType):
                // Known, and without extensions: the API is proto3.
                response.AllExtensionNumbersResponse = new ExtensionNumberResponse { BaseTypeName = request.AllExtensionNumbersOfType };
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.AllExtensionNumbersOfType:
                response.ErrorResponse = Error(GrpcStatusCode.NotFound, $"There is no type \"{request.AllExtensionNumbersOfType}\" here.");
                break;
            case ServerReflectionRequest.MessageRequestOneofCase.FileContainingExtension:
                response.ErrorResponse = Error(GrpcStatusCode.NotFound, "There are no extensions here.");
                break;
            default:
                response.ErrorResponse = Error(GrpcStatusCode.InvalidArgument, "The request says nothing of what is asked.");
                break;
        }

        return response;
    }

    private static void AddFile(ServerReflectionResponse response, IReadOnlyList<ByteString>? files, string what)
    {
        if (files is null)
        {
            response.ErrorResponse = Error(GrpcStatusCode.NotFound, $"There is no {what} here.");
        }
        else
        {
            response.FileDescriptorResponse = new FileDescriptorResponse { FileDescriptorProto = { files } };
        }
    }

    private static ErrorResponse Error(GrpcStatusCode status, string message) => new() { ErrorCode = (int)status, ErrorMessage = message };
}

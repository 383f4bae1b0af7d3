using Google.Protobuf;

namespace Henge.Client.Grpc;

/// <summary>A call that a service offers.</summary>
/// <param name="Path">The HTTP path, as <c>/henge.v1.KVStore/Get</c>.</param>
/// <param name="Parser">Parses answers.</param>
/// <param name="ChangesState">True when an attempt with unknown outcome leaves the caller in doubt.</param>
internal sealed record GrpcMethod<TResponse>(string Path, MessageParser<TResponse> Parser, bool ChangesState)
    where TResponse : class, IMessage<TResponse>;

using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Henge.Core;
using Henge.Protocol.Grpc;

namespace Henge.Client.Grpc;

/// <summary>Reads how a call ended out of headers and trailers, and what follows for the caller.</summary>
internal static class GrpcStatusReader
{
    /// <summary>Checks the head of an answer. Throws <see cref="AttemptFailedException"/> when it is no gRPC answer, or a trailers-only error.</summary>
    public static void CheckHead(HttpResponseMessage response, string address)
    {
        if (response.StatusCode != HttpStatusCode.OK)
        {
            // doc/http-grpc-status-mapping.md: what a status without gRPC's own trailer means.
            (ErrorCode code, AttemptOutcome outcome) = response.StatusCode switch
            {
                HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout =>
                    (ErrorCode.Unavailable, AttemptOutcome.Unknown),
                HttpStatusCode.NotFound => (ErrorCode.UnsupportedFormat, AttemptOutcome.NothingDone),
                HttpStatusCode.BadRequest or HttpStatusCode.UnsupportedMediaType => (ErrorCode.Internal, AttemptOutcome.NothingDone),
                _ => (ErrorCode.Internal, AttemptOutcome.Unknown),
            };
            throw new AttemptFailedException(code, $"{address} answered with HTTP status {(int)response.StatusCode} in place of a gRPC answer; is it a Henge node?", outcome);
        }

        string? contentType = response.Content.Headers.ContentType?.MediaType;
        if (contentType is null || !contentType.StartsWith(GrpcHeaders.ContentType, StringComparison.OrdinalIgnoreCase))
        {
            throw new AttemptFailedException(
                ErrorCode.Internal,
                $"{address} answered with content type \"{contentType}\" in place of {GrpcHeaders.ContentType}; is it a Henge node?",
                AttemptOutcome.Unknown);
        }

        if (response.Headers.NonValidated.Contains(GrpcHeaders.Status))
        {
            ThrowIfError(response.Headers, address);
        }
    }

    /// <summary>
    /// Checks the trailers once the body has ended. Throws <see cref="AttemptFailedException"/> for every status but OK, and when there is none.
    /// </summary>
    public static void CheckTrailers(HttpResponseMessage response, string address)
    {
        if (response.TrailingHeaders.NonValidated.Contains(GrpcHeaders.Status))
        {
            ThrowIfError(response.TrailingHeaders, address);
        }
        else if (!response.Headers.NonValidated.Contains(GrpcHeaders.Status))
        {
            throw new AttemptFailedException(ErrorCode.Internal, $"The answer of {address} ended without a gRPC status.", AttemptOutcome.Unknown);
        }
    }

    private static void ThrowIfError(HttpResponseHeaders headers, string address)
    {
        string text = First(headers, GrpcHeaders.Status) ?? "";
        if (text == "0")
        {
            return;
        }

        if (!int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int status))
        {
            throw new AttemptFailedException(ErrorCode.Internal, $"{address} answered with the gRPC status \"{text}\", which is no number.", AttemptOutcome.Unknown);
        }

        string? fine = First(headers, GrpcHeaders.HengeError);
        ErrorCode code = GrpcErrors.ToErrorCode((GrpcStatusCode)status, fine);
        string message = GrpcPercentEncoding.Decode(First(headers, GrpcHeaders.Message) ?? "");
        if (message.Length == 0)
        {
            message = $"{address} answered with gRPC status {(GrpcStatusCode)status}.";
        }

        throw new AttemptFailedException(code, message, OutcomeOf(code, saidByHenge: fine is not null), First(headers, GrpcHeaders.HengeLeader));
    }

    /// <summary>
    /// What an error leaves behind. A Henge node's own codes say it exactly; a bare gRPC status may come from a proxy, which cannot know.
    /// </summary>
    public static AttemptOutcome OutcomeOf(ErrorCode code, bool saidByHenge) => code switch
    {
        ErrorCode.UnknownOutcome or ErrorCode.Internal or ErrorCode.Cancelled or ErrorCode.Corruption => AttemptOutcome.Unknown,
        ErrorCode.InvalidArgument or ErrorCode.UnsupportedFormat => AttemptOutcome.NothingDone,
        _ => saidByHenge ? AttemptOutcome.NothingDone : AttemptOutcome.Unknown,
    };

    private static string? First(HttpResponseHeaders headers, string name)
    {
        if (headers.NonValidated.TryGetValues(name, out HeaderStringValues values))
        {
            foreach (string value in values)
            {
                return value;
            }
        }

        return null;
    }
}

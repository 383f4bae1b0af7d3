using System.Reflection;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;

namespace Henge.Server.Http;

/// <summary>
/// Describes an endpoint in the OpenAPI document. Endpoints here read their parameters from the request's target as it was sent, so that
/// nothing can be learned from the types of a handler.
/// </summary>
internal sealed class ApiDescription(OpenApiOperation operation)
{
    // The framework describes an endpoint only when it knows a method that handles it.
    private static readonly MethodInfo Handler = ((RequestDelegate)HttpDoor.NotFoundAsync).Method;

    /// <summary>Puts an endpoint into the document.</summary>
    public static void Of(IEndpointConventionBuilder endpoint, string tag, string summary, Action<ApiDescription> describe) =>
        endpoint.WithTags(tag).WithSummary(summary).WithMetadata(Handler).AddOpenApiOperationTransformer((operation, _, _) =>
        {
            operation.Parameters = [];
            operation.Responses = [];
            describe(new ApiDescription(operation));
            return Task.CompletedTask;
        });

    /// <summary>Adds parameters of the query that are text.</summary>
    public ApiDescription Query(params (string Name, string Description)[] parameters)
    {
        foreach ((string name, string description) in parameters)
        {
            Add(name, ParameterLocation.Query, description, JsonSchemaType.String);
        }

        return this;
    }

    /// <summary>Adds parameters of the query that are true or false.</summary>
    public ApiDescription Switch(params (string Name, string Description)[] parameters)
    {
        foreach ((string name, string description) in parameters)
        {
            Add(name, ParameterLocation.Query, description, JsonSchemaType.Boolean);
        }

        return this;
    }

    /// <summary>Adds the part of the path that names a key.</summary>
    public ApiDescription Key()
    {
        Add("key", ParameterLocation.Path, "The key: any bytes, percent-encoded.", JsonSchemaType.String);
        return this;
    }

    /// <summary>Adds headers of the request.</summary>
    public ApiDescription Header(params (string Name, string Description)[] headers)
    {
        foreach ((string name, string description) in headers)
        {
            Add(name, ParameterLocation.Header, description, JsonSchemaType.String);
        }

        return this;
    }

    /// <summary>Adds a body of the request.</summary>
    public ApiDescription Body(string description, params string[] contentTypes)
    {
        operation.RequestBody = new OpenApiRequestBody { Description = description, Required = true, Content = Contents(contentTypes) };
        return this;
    }

    /// <summary>Adds an answer.</summary>
    public ApiDescription Answer(int status, string description, params string[] contentTypes)
    {
        operation.Responses![status.ToString(System.Globalization.CultureInfo.InvariantCulture)] =
            new OpenApiResponse { Description = description, Content = contentTypes.Length == 0 ? null : Contents(contentTypes) };
        return this;
    }

    /// <summary>Adds the answer for errors of the REST API.</summary>
    public ApiDescription Errors()
    {
        operation.Responses!["default"] = new OpenApiResponse
        {
            Description = "An error: an object with error.code, the name of an error code, and error.message.",
            Content = Contents("application/json"),
        };
        return this;
    }

    private void Add(string name, ParameterLocation where, string description, JsonSchemaType type) =>
        operation.Parameters!.Add(
            new OpenApiParameter
            {
                Name = name,
                In = where,
                Description = description,
                Required = where == ParameterLocation.Path,
                Schema = new OpenApiSchema { Type = type },
            });

    private static Dictionary<string, OpenApiMediaType> Contents(params string[] contentTypes) =>
        contentTypes.ToDictionary(static type => type, static _ => new OpenApiMediaType());
}

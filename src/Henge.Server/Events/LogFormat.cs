using Microsoft.Extensions.Logging;

namespace Henge.Server.Events;

/// <summary>How events are written.</summary>
public enum LogFormat
{
    /// <summary>A line for people: time, level, category, id and message.</summary>
    Text,
    /// <summary>A JSON object a line, with the arguments of each message as fields.</summary>
    Json,
}

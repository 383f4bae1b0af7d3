using Henge.Core;
using Henge.Storage;

namespace Henge.Node.Api;

/// <summary>Why an event happened. The numbers are on the wire.</summary>
public enum WatchReason : byte
{
    /// <summary>A value was written.</summary>
    Put = 1,
    /// <summary>The key was deleted.</summary>
    Delete = 2,
    /// <summary>The key was deleted because its time had come.</summary>
    Expired = 3,
    /// <summary>Not an event: everything up to the version has been given.</summary>
    Progress = 4,
}

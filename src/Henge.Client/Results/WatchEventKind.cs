using System.Text;

namespace Henge.Client;

/// <summary>What kind of event it is.</summary>
public enum WatchEventKind
{
    /// <summary>A value was written.</summary>
    Put = 1,

    /// <summary>The key was deleted.</summary>
    Delete = 2,

    /// <summary>The key was deleted because its time had come.</summary>
    Expired = 3,

    /// <summary>Not an event of a key: everything up to the version has been given.</summary>
    Progress = 4,
}

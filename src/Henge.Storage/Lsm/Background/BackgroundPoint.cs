namespace Henge.Storage.Lsm.Background;

/// <summary>
/// Where a background job may be held while everything else goes on: between any two steps that other work can observe or disturb. A job
/// says with each step where it stands.
/// </summary>
public enum BackgroundPoint
{
    /// <summary>It has chosen what to work on, and has read the state of that moment.</summary>
    Chosen,
    /// <summary>It is writing tables: so many entries have gone by.</summary>
    Writing,
    /// <summary>Its tables are whole and durable, and nothing lists them yet.</summary>
    Written,
    /// <summary>The engine's own log is durable up to what the tables replace.</summary>
    LogSynced,
    /// <summary>Its result counts.</summary>
    Installed,
    /// <summary>Others had changed what it worked on: its result was thrown away.</summary>
    Discarded,
    /// <summary>A file was deleted.</summary>
    Deleted,
}

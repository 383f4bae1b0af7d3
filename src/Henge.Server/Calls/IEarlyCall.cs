namespace Henge.Server.Calls;

/// <summary>A request that is begun before the library is entered. Used once, by one thread at a time.</summary>
internal interface IEarlyCall
{
    /// <summary>Begins it, and enters the library once it has ended; the task is the call's.</summary>
    Task RunAsync(CallEntry entry);
}

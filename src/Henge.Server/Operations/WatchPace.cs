namespace Henge.Server.Operations;

/// <summary>How much a <see cref="WatchPump"/> gives at a time.</summary>
/// <param name="Items">Most events of one read.</param>
/// <param name="Bytes">Most bytes of one read; one event is always let in.</param>
/// <param name="Quiet">How often the output is called when there is nothing to give; zero: never.</param>
internal readonly record struct WatchPace(int Items, int Bytes, TimeSpan Quiet = default);

using System.Globalization;
using System.Runtime.InteropServices;
using Henge.Failover;

int kills = Number("--kills", 50);
int shards = Number("--shards", 16);
using CancellationTokenSource stop = new();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    stop.Cancel();
};
using PosixSignalRegistration terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
{
    context.Cancel = true;
    stop.Cancel();
});
await using Cluster cluster = new(shards, stop.Token);
try
{
    await cluster.StartAsync();
    FailoverRun run = new(cluster, kills, stop.Token);
    await run.RunAsync();
    run.Print(Console.Out);
    return 0;
}
catch (OperationCanceledException) when (stop.IsCancellationRequested)
{
    // The nodes end with the cluster.
    return 130;
}

int Number(string name, int usual)
{
    int at = Array.IndexOf(args, name);
    return at >= 0 && at + 1 < args.Length ? int.Parse(args[at + 1], NumberStyles.None, CultureInfo.InvariantCulture) : usual;
}

using System.Globalization;
using Henge.Failover;

int kills = Number("--kills", 50);
int shards = Number("--shards", 16);
using CancellationTokenSource stop = new();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    stop.Cancel();
};
await using Cluster cluster = new(shards, stop.Token);
await cluster.StartAsync();
FailoverRun run = new(cluster, kills, stop.Token);
await run.RunAsync();
run.Print(Console.Out);
return 0;

int Number(string name, int usual)
{
    int at = Array.IndexOf(args, name);
    return at >= 0 && at + 1 < args.Length ? int.Parse(args[at + 1], NumberStyles.None, CultureInfo.InvariantCulture) : usual;
}

// A tour of the client. Start a cluster first: ./henge dev
// Then: dotnet run --project samples/Henge.Samples.TryIt [-- host:port,host:port]

using Henge.Client;
using Henge.Core;

string[] peers = args.Length > 0 ? args[0].Split(',') : ["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"];
await using HengeClient client = new(peers);

try
{
    await WriteAndReadAsync();
    await CompareAndSetAsync();
    await TransactAsync();
    await ScanAsync();
    await TravelInTimeAsync();
    await WatchAsync();
    await ManyCallersAsync();
    return 0;
}
catch (UnavailableException e)
{
    Console.Error.WriteLine(e.Message);
    Console.Error.WriteLine("Is a cluster running? Start one with: ./henge dev");
    return 3;
}

async Task WriteAndReadAsync()
{
    PutResult put = await client.PutAsync("try:user:1", """{"name":"Alice"}""");
    GetResult get = await client.GetAsync("try:user:1");
    Console.WriteLine($"put and get:      {get.Text} at version {put.Version}");

    await client.PutAsync("try:session", "token", new PutOptions { TimeToLive = TimeSpan.FromMinutes(5) });
    Console.WriteLine($"expires in:       {(await client.GetAsync("try:session")).TimeToLive?.TotalSeconds:0} s");
}

async Task CompareAndSetAsync()
{
    // Ten callers raise one counter by ten each; the version of the read is the condition of the write.
    await client.PutAsync("try:counter", "0");
    await Parallel.ForEachAsync(Enumerable.Range(0, 10), async (_, stop) =>
    {
        for (int i = 0; i < 10;)
        {
            GetResult now = await client.GetAsync("try:counter", cancellationToken: stop);
            string next = (int.Parse(now.Text!) + 1).ToString();
            PutResult put = await client.PutAsync("try:counter", next, new PutOptions { IfVersion = now.Version }, stop);
            i += put.Succeeded ? 1 : 0;
        }
    });
    Console.WriteLine($"compare and set:  {(await client.GetAsync("try:counter")).Text} after 10 x 10 increments");
}

async Task TransactAsync()
{
    // Keys with the same part in braces lie on one shard and can change together.
    await client.PutAsync("{try:acc}:a", "100");
    await client.PutAsync("{try:acc}:b", "0");
    TransactionResult moved = await client.Transaction()
        .When(Compare.Value("{try:acc}:a", "100"))
        .Then(TransactionOperation.Put("{try:acc}:a", "70"), TransactionOperation.Put("{try:acc}:b", "30"))
        .Else(TransactionOperation.Get("{try:acc}:a"))
        .CommitAsync();
    Console.WriteLine($"transaction:      {(moved.Succeeded ? "moved 30" : "not enough")}");
}

async Task ScanAsync()
{
    for (int i = 0; i < 5; i++)
    {
        await client.PutAsync($"try:item:{i}", $"item {i}");
    }

    List<string> keys = [];
    await foreach (KeyValue pair in client.ScanAsync(new ScanOptions { Range = KeyRange.Prefix("try:item:"), Reverse = true, Limit = 3 }))
    {
        keys.Add(pair.KeyText);
    }

    Console.WriteLine(
        $"scan, reversed:   {string.Join(", ", keys)} of "
            + $"{await client.CountAsync(new ScanOptions { Range = KeyRange.Prefix("try:item:") })}");
}

async Task TravelInTimeAsync()
{
    PutResult old = await client.PutAsync("try:config", "blue");
    await client.PutAsync("try:config", "green");
    GetResult then = await client.GetAsync("try:config", new GetOptions { AtVersion = old.Version });
    Console.WriteLine($"time travel:      {(await client.GetAsync("try:config")).Text} now, {then.Text} then");
}

async Task WatchAsync()
{
    Henge.Core.Version start = (await client.PutAsync("try:watched", "1")).Version;
    await client.PutAsync("try:watched", "2");
    await client.DeleteAsync("try:watched");

    List<string> events = [];
    await foreach (WatchEvent e in client.WatchAsync(new WatchOptions { Range = KeyRange.Prefix("try:watched"), StartVersion = start }))
    {
        events.Add(e.Kind == WatchEventKind.Put ? $"put {e.ValueText}" : e.Kind.ToString().ToLowerInvariant());
        if (e.Kind == WatchEventKind.Delete)
        {
            break;
        }
    }

    Console.WriteLine($"watch:            {string.Join(", ", events)}");
}

async Task ManyCallersAsync()
{
    // All callers share a few streams; what waits goes together.
    const int writes = 20_000;
    long start = TimeProvider.System.GetTimestamp();
    await Parallel.ForEachAsync(Enumerable.Range(0, writes), new ParallelOptions { MaxDegreeOfParallelism = 256 }, async (i, stop) =>
        await client.PutAsync($"try:many:{i % 1000}", $"{i}", cancellationToken: stop));
    double seconds = TimeProvider.System.GetElapsedTime(start).TotalSeconds;
    Console.WriteLine($"256 callers:      {writes / seconds:#,0} durable writes a second");
}

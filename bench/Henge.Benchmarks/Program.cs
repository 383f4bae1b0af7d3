using System.Globalization;
using Henge.Bench.Engine;
using Henge.Core;

// db_bench's way of saying things: --name=value. "henge bench engine" has the same behind the usual command line.
var options = new EngineBenchOptions { Directory = Path.Combine(Path.GetTempPath(), "henge-engine-bench") };
bool json = false;
try
{
    foreach (string argument in args)
    {
        string[] parts = argument.TrimStart('-').Split('=', 2);
        string value = parts.Length > 1 ? parts[1] : "true";
        long Number() => long.TryParse(value, CultureInfo.InvariantCulture, out long number)
            ? number : throw new HengeException(ErrorCode.InvalidArgument, $"--{parts[0]} needs a number, not '{value}'.");
        switch (parts[0])
        {
            case "db": options = options with { Directory = value }; break;
            case "benchmarks": options = options with { Benchmarks = value.Split(',') }; break;
            case "num": options = options with { Num = Number() }; break;
            case "reads": options = options with { Reads = Number() }; break;
            case "writes": options = options with { Writes = Number() }; break;
            case "key_size": options = options with { KeyBytes = (int)Number() }; break;
            case "value_size": options = options with { ValueBytes = (int)Number() }; break;
            case "threads": options = options with { Threads = (int)Number() }; break;
            case "seed": options = options with { Seed = (int)Number() }; break;
            case "seek_nexts": options = options with { SeekNexts = (int)Number() }; break;
            case "memory": options = options with { MemoryBytes = Number() }; break;
            case "bloom_bits": options = options with { BloomBits = (int)Number() }; break;
            case "sync": options = options with { Sync = value is "true" or "1" }; break;
            case "disable_wal": options = options with { DisableLog = value is "true" or "1" }; break;
            case "use_existing_db": options = options with { UseExisting = value is "true" or "1" }; break;
            case "engine": options = options with { Engine = value }; break;
            case "output": json = value == "json"; break;
            default: throw new HengeException(ErrorCode.InvalidArgument, $"There is no option --{parts[0]}.");
        }
    }

    var results = new List<EngineBenchResult>();
    using var bench = new EngineBench(options);
    if (!json)
    {
        Console.WriteLine(EngineBenchReport.Header);
    }

    bench.Run(
        result =>
        {
            results.Add(result);
            if (!json)
            {
                Console.WriteLine(EngineBenchReport.Line(result));
            }
        },
        note => Console.Error.WriteLine(note));
    if (json)
    {
        Console.WriteLine(EngineBenchReport.ToJson(results));
    }

    return 0;
}
catch (HengeException error)
{
    Console.Error.WriteLine(error.Message);
    return 2;
}

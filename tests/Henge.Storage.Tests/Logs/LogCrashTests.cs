using System.Buffers.Binary;
using System.Globalization;
using Henge.Storage.Files;
using Henge.Storage.Logs;
using Henge.Testing.Files;

namespace Henge.Storage.Tests.Logs;

/// <summary>
/// Random work on a log, a crash at a random I/O, and again: every synced record is there, in order, nothing is invented, and the log opens
/// after every crash. HENGE_LOG_SEEDS sets the number of seeds, HENGE_LOG_FIRST_SEED the first.
/// </summary>
public sealed class LogCrashTests(ITestOutputHelper output)
{
    private static int Setting(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out int value) ? value : otherwise;

    [Fact]
    public void Every_synced_record_survives_every_crash_and_nothing_is_invented()
    {
        int first = Setting("HENGE_LOG_FIRST_SEED", 1);
        int crashes = 0, cuts = 0, lost = 0;
        for (int seed = first; seed < first + Setting("HENGE_LOG_SEEDS", 100); seed++)
        {
            var world = new LogWorld(seed);
            try
            {
                world.Run(rounds: 12);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"Seed {seed}: {e.Message}\n{world.Trace}", e);
            }

            crashes += world.Crashes;
            cuts += world.Cuts;
            lost += world.LostUnsynced;
        }

        output.WriteLine($"{crashes} crashes, {cuts} torn tails cut, {lost} unsynced records lost");

        // A campaign that never saw the rare cases proves nothing.
        Assert.True(crashes > 0 && cuts > 0 && lost > 0);
    }
}

/// <summary>A log, its simulated disk, and the model of what must be in it.</summary>
internal sealed class LogWorld(int seed)
{
    private readonly Random _random = new(seed);

    // Records as large as the log's own marks: then what is left of a cut tail lines up with what is written over it.
    private readonly bool _aligned = seed % 3 == 0;
    private readonly SimulatedFileSystem _disk = new();
    private readonly List<long> _model = [];
    private readonly Dictionary<long, LogPosition> _positions = [];
    private readonly System.Text.StringBuilder _trace = new();
    private long _nextNumber = 1;
    private long _durableThrough;
    private long _truncatedBelow;

    public int Crashes { get; private set; }

    public int Cuts { get; private set; }

    public int LostUnsynced { get; private set; }

    public string Trace => _trace.ToString();

    public void Run(int rounds)
    {
        for (int round = 0; round < rounds; round++)
        {
            _disk.CrashAt =
                _random.Next(4) == 0
                    ? null
                    : _disk.OperationCount
                        + 1
                        + _random.Next(
                            _aligned ? 30
                            : _random.Next(3) == 0 ? 12
                            : 150);
            int failSync = _random.Next(6) == 0 ? _random.Next(1, 20) : int.MaxValue;
            _disk.Faults = op => op.Kind == FileOperationKind.Sync && --failSync == 0 ? FaultDecision.Fail : FaultDecision.None;
            try
            {
                SegmentedLog log = Open();
                Work(log);
            }
            catch (IOException e)
            {
                Say($"stopped: {e.Message}");
            }

            Crashes++;
            _disk.Faults = null;
            var mode = (CrashMode)_random.Next(3);
            int crashSeed = _random.Next();
            Say($"crash {mode} {crashSeed}");
            _disk.Crash(mode, crashSeed);
        }

        SegmentedLog last = Open();
        last.Dispose();
    }

    private SegmentedLog Open()
    {
        var found = new List<long>();
        SegmentedLog log;
        try
        {
            log = SegmentedLog.Open(_disk, "/log", Options(), (position, kind, payload) =>
            {
                long number = CheckPayload(kind, payload);
                if (_positions.TryGetValue(number, out LogPosition known))
                {
                    Assert.Equal(known, position);
                }

                _positions[number] = position;
                found.Add(number);
            });
        }
        finally
        {
            // Even when the open is cut short: what was handed out must be good.
            Say(
                $"open found {found.Count} ({(found.Count == 0 ? 0 : found[0])}-{(found.Count == 0 ? 0 : found[^1])}), synced through "
                    + $"{_durableThrough}");
            CheckOrder(found);
        }

        if (log.Recovery.CutTail is not null)
        {
            Cuts++;
            Say(log.Recovery.CutTail);
        }

        long lastFound = found.Count == 0 ? 0 : found[^1];
        long mustHave = _model.LastOrDefault(n => n <= _durableThrough && n >= _truncatedBelow);
        Assert.True(lastFound >= mustHave, $"record {mustHave} was synced; the last one found is {lastFound}");
        LostUnsynced += _model.Count(n => n > lastFound);
        _model.Clear();
        _model.AddRange(found);
        _durableThrough = _nextNumber - 1;
        return log;
    }

    // A run without holes of what was appended, beginning no later than what was truncated.
    private void CheckOrder(List<long> found)
    {
        if (found.Count == 0)
        {
            return;
        }

        int start = _model.IndexOf(found[0]);
        Assert.True(start >= 0, $"record {found[0]} is invented or was lost before");
        Assert.True(
            found.SequenceEqual(_model.Skip(start).Take(found.Count)),
            "records are missing in the middle, or out of order, or invented");
        Assert.True(start == 0 || _model[start] <= _truncatedBelow, $"records before {found[0]} are missing");
    }

    private void Work(SegmentedLog log)
    {
        LogBatch batch = log.CreateBatch();
        byte[] buffer = [];
        for (int step = _random.Next(_aligned ? 8 : 60); step >= 0; step--)
        {
            switch (_random.Next(20))
            {
                case < 10:
                    batch.Clear();
                    var numbers = new List<long>();
                    for (int i = _random.Next(1, _aligned ? 80 : 6); i > 0; i--)
                    {
                        byte[] payload = MakePayload(_nextNumber, out byte kind);
                        if (batch.Fits(payload.Length))
                        {
                            batch.Add(kind, payload);
                            numbers.Add(_nextNumber++);
                        }
                    }

                    // In the model before the write: a crash in the middle of it may leave any beginning of it.
                    _model.AddRange(numbers);
                    log.Append(batch);
                    for (int i = 0; i < numbers.Count; i++)
                    {
                        _positions[numbers[i]] = batch.PositionOf(i);
                    }

                    break;
                case < 15:
                    long through = _nextNumber - 1;
                    log.Sync();
                    _durableThrough = through;
                    break;
                case < 18:
                    if (_model.Count > 0)
                    {
                        long number = _model[_random.Next(_model.Count)];
                        if (number >= _truncatedBelow)
                        {
                            ReadOnlySpan<byte> payload = log.Read(_positions[number], ref buffer, out byte kind);
                            Assert.Equal(number, CheckPayload(kind, payload));
                        }
                    }

                    break;
                case 18:
                    if (_model.Count > 0)
                    {
                        long number = _model[_random.Next(_model.Count)];
                        _truncatedBelow = Math.Max(_truncatedBelow, number);
                        log.TruncateFront(_positions[_truncatedBelow]);
                        if (log.First > LogPosition.Zero)
                        {
                            _model.RemoveAll(n => _positions[n] < log.First);
                        }
                    }

                    break;
                default:
                    if (_random.Next(3) == 0)
                    {
                        log.StartNewSegment();
                    }

                    break;
            }
        }

        if (_random.Next(2) == 0)
        {
            Say("clean close");
            log.Dispose();
        }
    }

    private SegmentedLogOptions Options() => new()
    {
        SegmentBytes = _random.Next(3) == 0 ? 32 * 1024 : 16 * 1024,
        MaxSpareSegments = _random.Next(3),
        ZeroAheadBytes = _random.Next(3) * 3_000,
        NewSalt = () => (ulong)_random.NextInt64(),
    };

    private byte[] MakePayload(long number, out byte kind)
    {
        byte[] payload = new byte[8 + (_aligned ? 0 : _random.Next(4) == 0 ? _random.Next(5_000) : _random.Next(100))];
        BinaryPrimitives.WriteInt64LittleEndian(payload, number);
        new Random((int)number * 31).NextBytes(payload.AsSpan(8));
        kind = (byte)(number % 200);
        return payload;
    }

    private static long CheckPayload(byte kind, ReadOnlySpan<byte> payload)
    {
        long number = BinaryPrimitives.ReadInt64LittleEndian(payload);
        byte[] expected = new byte[payload.Length - 8];
        new Random((int)number * 31).NextBytes(expected);
        Assert.True(payload[8..].SequenceEqual(expected), $"record {number} is not what was written");
        Assert.Equal((byte)(number % 200), kind);
        return number;
    }

    private void Say(string line) => _trace.AppendLine(line);
}

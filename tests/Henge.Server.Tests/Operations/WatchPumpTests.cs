using System.Text;
using System.Threading.Channels;
using Henge.Core;
using Henge.Node.Api;
using Henge.Node.StateMachine;
using Henge.Server.Operations;
using Henge.Server.Tests.Fakes;
using Henge.Server.Tests.Grpc;
using Microsoft.Extensions.Time.Testing;

namespace Henge.Server.Tests.Operations;

public sealed class WatchPumpTests : IDisposable
{
    private static readonly WatchPace ThreeAtATime = new(3, 1 << 20);
    private readonly FakeNode _node = new();

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task No_more_is_taken_than_one_read_until_it_was_sent()
    {
        Output output = new() { SendsAtOnce = false };
        using WatchPump pump = new(_node, new WatchQuery(), ThreeAtATime);
        Task run = pump.RunAsync(output, CancellationToken.None);
        for (int i = 0; i < 10; i++)
        {
            await PutAsync("k", $"{i}");
        }

        await GrpcRulesTests.Until(() => output.Sending == 1);
        Assert.InRange(output.Events.Count, 1, 3);
        while (output.Events.Count < 10)
        {
            int before = output.Events.Count, sending = output.Sending;
            output.LetSend();
            await GrpcRulesTests.Until(() => output.Sending > sending);
            Assert.InRange(output.Events.Count - before, 1, 3);
        }

        Assert.Equal("0123456789", string.Concat(output.Events));
        output.LetSend();
        pump.Dispose();
        await run.WaitAsync(RunningServer.Patience);
        Assert.Equal((0, output.Entered), (_node.OpenWatches, output.Exited));
    }

    [Fact]
    public async Task It_is_open_when_the_watch_stands()
    {
        bool stands = false;
        _node.WatchOpens = () => stands;
        using WatchPump pump = new(_node, new WatchQuery(), ThreeAtATime);
        Task opening = pump.OpenAsync(CancellationToken.None).AsTask();
        _node.LastWatchCall!();
        Assert.False(opening.IsCompleted);
        stands = true;
        _node.LastWatchCall!();
        await opening.WaitAsync(RunningServer.Patience);
        await pump.OpenAsync(CancellationToken.None);
    }

    [Fact]
    public async Task A_watch_that_cannot_be_opened_says_why_and_one_that_is_awaited_is_cancelled()
    {
        HengeException? problem = null;
        _node.WatchOpens = () => problem is null ? false : throw problem;
        using WatchPump pump = new(_node, new WatchQuery(), ThreeAtATime);
        using CancellationTokenSource cancellation = new();
        Task opening = pump.OpenAsync(cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening.WaitAsync(RunningServer.Patience));
        opening = pump.OpenAsync(CancellationToken.None).AsTask();
        problem = new HengeException(ErrorCode.HistoryGone, "gone");
        _node.LastWatchCall!();
        HengeException error = await Assert.ThrowsAsync<HengeException>(() => opening.WaitAsync(RunningServer.Patience));
        Assert.Equal(ErrorCode.HistoryGone, error.Code);
    }

    [Fact]
    public async Task A_round_goes_on_while_the_output_has_room()
    {
        using WatchPump pump = new(_node, new WatchQuery(), new WatchPace(1, 1 << 20));
        for (int i = 0; i < 9; i++)
        {
            await PutAsync("k", $"{i}");
        }

        Output output = new() { ReadsOfARound = 4 };
        Task run = pump.RunAsync(output, CancellationToken.None);
        await GrpcRulesTests.Until(() => output.Events.Count == 9 && output.Sent == 3);
        Assert.Equal("012345678", string.Concat(output.Events));
        pump.Dispose();
        await run.WaitAsync(RunningServer.Patience);
    }

    [Fact]
    public async Task A_pump_that_waits_ends_when_it_is_disposed_of()
    {
        using WatchPump pump = new(_node, new WatchQuery(), ThreeAtATime);
        Task run = pump.RunAsync(new Output(), CancellationToken.None);
        Assert.False(run.IsCompleted);
        pump.Dispose();
        await run.WaitAsync(RunningServer.Patience);
        Assert.Equal(0, _node.OpenWatches);
    }

    [Fact]
    public async Task A_pump_that_waits_is_cancelled()
    {
        using CancellationTokenSource cancellation = new();
        using WatchPump pump = new(_node, new WatchQuery(), ThreeAtATime);
        Task run = pump.RunAsync(new Output(), cancellation.Token);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.WaitAsync(RunningServer.Patience));
    }

    [Fact]
    public async Task Lost_events_are_an_error_and_the_output_is_left()
    {
        Output output = new();
        using WatchPump pump = new(_node, new WatchQuery(), ThreeAtATime);
        Task run = pump.RunAsync(output, CancellationToken.None);
        _node.OldestVersion = Core.Version.Max;
        await PutAsync("k", "v");
        HengeException error = await Assert.ThrowsAsync<HengeException>(() => run.WaitAsync(RunningServer.Patience));
        Assert.Equal(ErrorCode.HistoryGone, error.Code);
        Assert.Equal(output.Entered, output.Exited);
    }

    [Fact]
    public async Task The_output_is_called_when_there_was_nothing_for_long()
    {
        FakeTimeProvider time = new();
        Output output = new();
        using WatchPump pump = new(_node, new WatchQuery(), ThreeAtATime with { Quiet = TimeSpan.FromSeconds(15) }, time);
        Task run = pump.RunAsync(output, CancellationToken.None);
        time.Advance(TimeSpan.FromSeconds(14));
        Assert.Equal((0, 0), (output.Quiet, output.Sent));
        time.Advance(TimeSpan.FromSeconds(1));
        await GrpcRulesTests.Until(() => output.Quiet == 1);
        time.Advance(TimeSpan.FromSeconds(15));
        await GrpcRulesTests.Until(() => output.Quiet == 2);
        Assert.Equal(2, output.Sent);
        pump.Dispose();
        await run.WaitAsync(RunningServer.Patience);
    }

    private async Task PutAsync(string key, string value)
    {
        byte[] name = Encoding.UTF8.GetBytes(key);
        System.Buffers.ArrayBufferWriter<byte> command = new();
        CommandEncoder.Put(command, name, Encoding.UTF8.GetBytes(value));
        await new AwaitedOperation { Kind = OperationKind.Write, Key = name, Command = command.WrittenMemory }.RunAsync(_node);
    }

    /// <summary>Keeps the values of events.</summary>
    private sealed class Output : IWatchOutput
    {
        private readonly Channel<bool> _sends = Channel.CreateUnbounded<bool>();
        private int _reads;
        private volatile int _sending, _sent, _quiet;

        public List<string> Events { get; } = [];

        public int ReadsOfARound { get; init; } = 1;

        public bool SendsAtOnce { get; init; } = true;

        public int Entered { get; private set; }

        public int Exited { get; private set; }

        public int Sending => _sending;

        public int Sent => _sent;

        public int Quiet => _quiet;

        public void LetSend() => Assert.True(_sends.Writer.TryWrite(true));

        public ValueTask EnterAsync()
        {
            Entered++;
            _reads = 0;
            return ValueTask.CompletedTask;
        }

        public void OnEvent(in WatchEventView watchEvent) => Events.Add(Encoding.UTF8.GetString(watchEvent.Value));

        public bool OnRead(IWatch watch) => ++_reads < ReadsOfARound;

        public async ValueTask SendAsync(IWatch watch, bool isQuiet)
        {
            _sending++;
            _quiet += isQuiet ? 1 : 0;
            if (!SendsAtOnce)
            {
                await _sends.Reader.ReadAsync();
            }

            _sent++;
        }

        public void Exit() => Exited++;
    }
}

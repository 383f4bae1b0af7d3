using Henge.Core;
using Henge.Node.Context;
using Henge.Node.StateMachine;
using Henge.Node.Tests.Watch;
using Henge.Storage;
using Henge.Storage.Lsm;
using Henge.Storage.Lsm.Background;
using Henge.Testing.Files;

namespace Henge.Node.Tests.StateMachine;

/// <summary>The comparison "unwritten since" says the same on a replica that has forgotten a deletion (docs/decisions/0185).</summary>
public sealed class UnwrittenTests
{
    [Theory]
    [InlineData(60_000, false)]
    [InlineData(HistoryWindow.AlwaysKeptMs + 1, false)]
    [InlineData(HistoryWindow.AlwaysKeptMs, true)]
    [InlineData(0, true)]
    public void Replicas_agree_whether_or_not_they_have_forgotten_a_deletion(long sinceMs, bool holds)
    {
        using LsmEngine keeping = Open(), forgetting = Open();
        MachineHarness keeps = new(engine: keeping), forgets = new(engine: forgetting);
        Apply(MachineHarness.Put("k", "made"));
        Pass(1_000);
        Apply(MachineHarness.Delete("k"));
        Pass(100_000);
        Apply(MachineHarness.Put("other", "1"));
        forgets.History.Advance(Core.Version.FromMilliseconds(forgets.NowMs - HistoryWindow.AlwaysKeptMs));

        // The floor takes effect with what is applied after it.
        Apply(MachineHarness.Put("other", "2"));
        foreach (LsmEngine engine in (LsmEngine[])[keeping, forgetting])
        {
            engine.Flush();
            engine.Compact();
        }

        Assert.Equal(2, Versions(keeps));
        Assert.Equal(0, Versions(forgets));
        var since = Core.Version.FromMilliseconds(keeps.Machine.LastVersion.Milliseconds - sinceMs);
        Apply(IfUnwritten("k", since));
        Assert.Equal(holds, keeps.Results[^1].Result.Found);
        Assert.Equal(holds, forgets.Results[^1].Result.Found);
        Assert.Equal(keeps.Machine.StateHash(), forgets.Machine.StateHash());

        void Pass(long ms)
        {
            keeps.NowMs += ms;
            forgets.NowMs += ms;
        }

        void Apply(byte[] command)
        {
            keeps.Apply(command);
            forgets.Apply(command);
        }
    }

    [Fact]
    public void A_deletion_within_the_window_is_seen()
    {
        var machine = new MachineHarness();
        machine.Apply(MachineHarness.Put("other", "1"));
        Core.Version since = machine.Machine.LastVersion;
        machine.NowMs += HistoryWindow.AlwaysKeptMs / 2;
        machine.Apply(MachineHarness.Put("k", "made"));
        machine.Apply(MachineHarness.Delete("k"));
        Assert.False(machine.Apply(IfUnwritten("k", since)).Found);
        Assert.True(machine.Apply(IfUnwritten("never made", since)).Found);
    }

    private static byte[] IfUnwritten(string key, Core.Version since) => MachineHarness.Command(writer =>
    {
        var builder = new TxnBuilder();
        builder.CompareUnwritten(MachineHarness.Bytes(key), since);
        builder.Then.Add(MachineHarness.Put(key, "by the transaction"));
        builder.Encode(writer);
    });

    private static LsmEngine Open() => WatchPropertyTests.TinyLsm(new SimulatedFileSystem(), new InlineScheduler());

    private static int Versions(MachineHarness machine)
    {
        using EngineIterator entries = machine.Engine.CreateIterator(new IteratorOptions
        {
            Keyspace = SystemKeys.UserKeyspace(machine.Shard),
            Point = new ReadPoint(Core.Version.Max, 0),
            Lower = MachineHarness.Bytes("k"),
            Upper = MachineHarness.Bytes("l"),
            AllVersions = true,
        });
        int count = 0;
        for (entries.SeekToFirst(); entries.Valid; entries.Next())
        {
            count++;
        }

        return count;
    }
}

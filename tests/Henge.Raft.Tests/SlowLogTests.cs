using Henge.Core;

namespace Henge.Raft.Tests;

/// <summary>Older entries that have to come from the disk first.</summary>
public sealed class SlowLogTests
{
    private readonly MemoryRaftLog _disk = new();
    private readonly SlowLog _log;

    public SlowLogTests()
    {
        _disk.Append(
            default,
            [.. Enumerable.Range(1, 3).Select(static i => new Entry(new((ulong)i), new(1), EntryKind.Normal, new byte[10]))]);
        _log = new SlowLog(_disk);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_is_committed_is_handed_out_when_it_has_been_read(bool byTick)
    {
        RaftGroup group = Open(commit: 3);
        _log.IsSlow = true;
        Assert.True(group.TakeReady().Committed.IsEmpty);
        Assert.Equal(1, _log.Reads);

        // It is not asked for over and over while it is on its way.
        Assert.False(group.HasReady);
        Assert.True(group.TakeReady().Committed.IsEmpty);
        Assert.Equal(1, _log.Reads);

        Go(group, byTick);
        Assert.True(group.TakeReady().Committed.IsEmpty);
        Assert.Equal(2, _log.Reads);
        _log.IsSlow = false;
        Go(group, byTick);
        Assert.True(group.HasReady);
        Assert.Equal(3, group.TakeReady().Committed.Length);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_a_follower_lacks_is_sent_when_it_has_been_read(bool byTick)
    {
        RaftGroup group = Open(commit: 0);
        Lead(group);
        _log.IsSlow = true;
        group.Receive(new AppendEntriesResponse { From = new(2), To = new(1), Term = new(2), IsRejected = true, Index = new(3) });
        Assert.DoesNotContain(Sent(group), static m => m is AppendEntries);
        Assert.Equal(1, _log.Reads);
        Assert.False(group.HasReady);
        Go(group, byTick);
        Assert.DoesNotContain(Sent(group), static m => m is AppendEntries);
        Assert.Equal(2, _log.Reads);
        _log.IsSlow = false;
        Go(group, byTick);
        AppendEntries append = Assert.IsType<AppendEntries>(Assert.Single(Sent(group), static m => m is AppendEntries));
        Assert.Equal((LogIndex.Zero, 3), (append.PrevIndex, append.Entries.Length));
    }

    private static void Go(RaftGroup group, bool byTick)
    {
        if (byTick)
        {
            group.Tick();
        }
        else
        {
            group.LogAvailable();
        }
    }

    private static RaftMessage[] Sent(RaftGroup group)
    {
        List<RaftMessage> sent = [];
        while (group.HasReady)
        {
            Ready ready = group.TakeReady();
            sent.AddRange(ready.Messages);
            group.Persisted(ready.PersistTicket);
        }

        return [.. sent];
    }

    private static void Lead(RaftGroup group)
    {
        // The promise of before the restart.
        for (int i = 0; i < group.Options.ElectionTimeoutMinTicks; i++)
        {
            group.Tick();
        }

        group.Campaign();
        Sent(group);
        group.Receive(new RequestVoteResponse { From = new(2), To = new(1), Term = new(2), IsPreVote = true, IsGranted = true });
        Sent(group);
        group.Receive(new RequestVoteResponse { From = new(2), To = new(1), Term = new(2), IsGranted = true });
        Assert.Equal(RaftRole.Leader, group.Role);
        Sent(group);
    }

    private RaftGroup Open(ulong commit)
    {
        RaftOptions options = new() { Self = new(1), RecentEntriesLimitBytes = 0, SettledEntriesLimitBytes = 0 };
        RaftGroup group = new(
            options,
            _log,
            new RestoredState { HardState = new(new(1), default, new(commit)), Membership = new([new(1), new(2)]) },
            new SplitMix64Random(1));
        _log.Reads = 0;
        return group;
    }

    private sealed class SlowLog(MemoryRaftLog log) : IRaftLog
    {
        public bool IsSlow { get; set; }

        public int Reads { get; set; }

        public LogIndex CompactedIndex => log.CompactedIndex;

        public Term CompactedTerm => log.CompactedTerm;

        public LogIndex LastIndex => log.LastIndex;

        public LogReadStatus Read(LogIndex from, LogIndex last, long limitBytes, List<Entry> into)
        {
            Reads++;
            return IsSlow ? LogReadStatus.Pending : log.Read(from, last, limitBytes, into);
        }
    }
}

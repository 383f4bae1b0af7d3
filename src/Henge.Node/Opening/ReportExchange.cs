using Henge.Core;
using Henge.Node.Api;
using Henge.Node.Context;
using Henge.Node.Moves;
using Henge.Node.Peers;
using Henge.Node.Replication;

namespace Henge.Node.Opening;

/// <summary>
/// Tells the catalog's leader of the shards that this node leads: once a second of those of which there is news, a few times each, so that
/// what is lost is made good; while a member is leaving, of some of the others as well, since it waits for the last of them. Of shards at
/// rest nothing is sent. Used by the thread that ticks.
/// </summary>
internal sealed class ReportExchange(NodeContext node, HostedShards hosted) : IShardReports
{
    private const long IntervalMs = 1_000;
    private const int Times = 3;
    private const int Rounds = 8;
    private const int FrameBytes = 48 * 1024;
    private readonly Dictionary<ShardId, (ShardReport Report, int Times)> _told = [];
    private long _nextMs = long.MinValue;
    private NodeId _toldTo;
    private uint _round;

    /// <summary>What has come; of all shards while this node leads the catalog.</summary>
    public ShardReports Latest { get; } = new(node.Shards.Count);

    /// <summary>Tells what is due.</summary>
    public void Run()
    {
        long now = node.MonotonicMs;
        NodeId leader = hosted[ShardId.Catalog].Leader;
        if (leader != _toldTo)
        {
            _told.Clear();
            (_toldTo, _nextMs) = (leader, now);
        }

        if (leader.IsNone || now < _nextMs)
        {
            return;
        }

        _nextMs = now + IntervalMs;
        _round = (_round + 1) % Rounds;
        bool repeats = node.Members.Current.Any(static m => m.State == MemberState.Leaving);
        PeerFrameBuilder? frame = null;
        foreach (ShardReplica replica in hosted.All)
        {
            if (replica.Report is not { } report)
            {
                _told.Remove(replica.Shard);
                continue;
            }

            int times = _told.TryGetValue(report.Shard, out (ShardReport Report, int Times) told) && told.Report.SaysSame(report)
                ? told.Times
                : 0;
            if (times >= Times && !(repeats && report.Shard.Value % Rounds == _round))
            {
                continue;
            }

            _told[report.Shard] = (report, times + 1);
            if (leader == node.Self)
            {
                Latest.Take(report);
                continue;
            }

            if (frame is null)
            {
                frame = new PeerFrameBuilder(node.Sender, leader);
                frame.BeginRecord(PeerRecordKind.ShardReport, ShardId.Catalog);
            }

            frame.Advance(report.Write(frame.GetSpan(report.MaxBytes)));
            if (frame.Bytes >= FrameBytes)
            {
                Send(leader, frame);
                frame = null;
            }
        }

        if (frame is not null)
        {
            Send(leader, frame);
        }
    }

    /// <inheritdoc/>
    public void OnReports(ReadOnlySpan<byte> body)
    {
        SpanReader reader = new(body);
        while (ShardReport.TryRead(ref reader) is { } report)
        {
            Latest.Take(report);
        }
    }

    private void Send(NodeId to, PeerFrameBuilder frame)
    {
        frame.EndRecord();
        node.Environment.Transport?.Send(to, frame.Complete(node.Incarnations.Of(to)));
    }
}

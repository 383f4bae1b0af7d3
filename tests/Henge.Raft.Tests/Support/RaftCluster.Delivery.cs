using Henge.Core;

namespace Henge.Raft.Tests;

// The network, and the doing of what groups hand out.
internal sealed partial class RaftCluster
{
    private void DeliverDue(double drop, double duplicate)
    {
        for (int guard = 0; guard < 20; guard++)
        {
            List<Flight> due = _flights.FindAll(f => f.DueRound <= _round);
            if (due.Count == 0)
            {
                return;
            }

            _flights.RemoveAll(f => f.DueRound <= _round);
            for (int i = due.Count - 1; i > 0; i--)
            {
                int j = Next(i + 1);
                (due[i], due[j]) = (due[j], due[i]);
            }

            foreach (Flight flight in due)
            {
                if (flight.Snapshot is not null)
                {
                    DeliverSnapshot(flight, drop);
                    continue;
                }

                if (_cut.Contains((flight.From, flight.To)) || Chance(drop) || !_nodes.TryGetValue(flight.To, out TestNode? to) || !to.IsUp)
                {
                    continue;
                }

                if (to.BlockedUntilRound > _round)
                {
                    _flights.Add(flight with { DueRound = to.BlockedUntilRound, Order = ++_order });
                    continue;
                }

                if (Chance(duplicate))
                {
                    _flights.Add(flight with { DueRound = _round + (ulong)Next(30), Order = ++_order });
                }

                bool ok = RaftMessageCodec.TryDecode(flight.Bytes, out RaftMessage? message, out string? error);
                Require(ok, error ?? "");
                Note($"deliver {message}");
                to.Group!.SetClock(_round - to.TicksAtStart);
                to.Group.Receive(message!);
                Pump(to);
            }
        }
    }

    private void DeliverSnapshot(Flight flight, double drop)
    {
        TestNode? leader = _nodes.GetValueOrDefault(flight.From);
        bool isLost =
            _cut.Contains((flight.From, flight.To)) || Chance(drop) || !_nodes.TryGetValue(flight.To, out TestNode? to) || !to.IsUp;
        if (!isLost)
        {
            to = _nodes[flight.To];
            Note($"deliver {flight.Snapshot}");
            to.Staged[flight.Snapshot!] = flight.SnapshotHash;
            to.Group!.Receive(flight.Snapshot!);
            Pump(to);
        }

        if (leader is { IsUp: true })
        {
            if (isLost)
            {
                leader.Group!.SnapshotFailed(flight.To);
            }
            else
            {
                leader.Group!.SnapshotSent(flight.To);
            }

            Pump(leader);
        }
    }

    private void Pump(TestNode node)
    {
        RaftGroup group = node.Group!;
        while (group.HasReady)
        {
            Ready ready = group.TakeReady();
            if (ready.RoleChanged && group.Role == RaftRole.Leader)
            {
                CheckNewLeader(node);
            }

            if (ready.TruncateFrom > LogIndex.Zero)
            {
                Truncations++;
            }

            foreach (RaftMessage message in ready.Messages)
            {
                _buffer.ResetWrittenCount();
                RaftMessageCodec.Encode(message, _buffer);
                _flights.Add(
                    new Flight(
                        _round + (ulong)Next(_isCalm ? 2 : _faults.MaxDelayRounds + 1),
                        ++_order,
                        _buffer.WrittenSpan.ToArray(),
                        message.From,
                        message.To,
                        null,
                        0));
            }

            foreach (ReadGrant grant in ready.ReadsGranted)
            {
                ReadsGranted++;
                Require(_reads.Remove(grant.RequestId, out LogIndex floor), $"read {grant.RequestId} was answered twice");
                Require(
                    grant.Index >= floor,
                    $"stale read {grant.RequestId} at {node.Id}: {grant.Index}, but {floor} was committed when it was asked");
            }

            foreach (ulong id in ready.ReadsFailed)
            {
                Require(_reads.Remove(id), $"read {id} was answered twice");
            }

            NodeId[] wanted = ready.SnapshotsToSend.ToArray();
            node.Handle(ready, OnApply);
            foreach (NodeId to in wanted)
            {
                if (group.BeginSnapshot(to, group.AppliedIndex) is { } header)
                {
                    Snapshots++;
                    _flights.Add(new Flight(_round + (ulong)Next(8), ++_order, [], node.Id, to, header, node.StateHash));
                }
            }
        }
    }
}

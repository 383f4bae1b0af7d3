using System.Globalization;
using System.Text;
using Henge.Core;

namespace Henge.Raft.Tests;

// What must hold after every step: the properties of the paper's figure 3, and reads that are not stale.
internal sealed partial class RaftCluster
{
    private void CheckLeases()
    {
        foreach (TestNode node in _nodes.Values)
        {
            if (_leases && node.IsUp && node.Group!.TryLeaseRead(_round - node.TicksAtStart, out LogIndex at, out _))
            {
                LeaseReads++;
                Require(at >= CommittedNow(), $"stale lease read at {node.Id}: {at} but {CommittedNow()} was committed");
            }
        }
    }

    private void OnApply(TestNode node, Entry entry, ulong hash)
    {
        Note($"apply {node.Id} {entry}");
        // Figure 3, state machine safety: no two nodes apply different entries at one index.
        if (_applied.TryGetValue(entry.Index.Value, out (Term Term, ulong Hash) known))
        {
            Require(known == (entry.Term, hash), $"{node.Id} applied {entry}, but another node applied term {known.Term} there");
        }
        else
        {
            _applied.Add(entry.Index.Value, (entry.Term, hash));
        }
    }

    private void CheckNewLeader(TestNode node)
    {
        RaftGroup group = node.Group!;
        Note($"leader {node.Id} term={group.Term}");
        // Figure 3, election safety: at most one leader a term.
        Require(
            !_leaders.TryGetValue(group.Term, out NodeId other) || other == node.Id,
            $"{node.Id} and {other} both lead term {group.Term}");
        _leaders[group.Term] = node.Id;
        // Figure 3, leader completeness: everything that was committed in an earlier term is in its log.
        foreach ((ulong index, (Term term, _)) in _applied)
        {
            LogIndex at = new(index);
            if (term < group.Term && at > group.CompactedIndex)
            {
                Require(group.TermAt(at) == term, $"{node.Id} leads term {group.Term} without the committed entry {term}/{index}");
            }
        }
    }

    /// <summary>Figure 3, log matching: if two logs have an entry of the same index and term, they are the same up to there.</summary>
    private void CheckLogMatching()
    {
        TestNode[] up = [.. _nodes.Values.Where(n => n.IsUp)];
        for (int i = 0; i + 1 < up.Length; i++)
        {
            TestNode a = up[i];
            TestNode b = up[i + 1];
            ulong first = Math.Max(a.LogCompacted.Value, b.LogCompacted.Value) + 1;
            ulong last = Math.Min(a.LogCompacted.Value + (ulong)a.Log.Count, b.LogCompacted.Value + (ulong)b.Log.Count);
            bool mustMatch = false;
            for (ulong at = last; at >= first && at > 0; at--)
            {
                Entry x = a.Log[(int)(at - a.LogCompacted.Value - 1)];
                Entry y = b.Log[(int)(at - b.LogCompacted.Value - 1)];
                mustMatch |= x.Term == y.Term;
                Require(
                    !mustMatch || (x.Term == y.Term && x.Kind == y.Kind && x.Data.Span.SequenceEqual(y.Data.Span)),
                    $"{a.Id} has {x}, {b.Id} has {y}, and they agree after it");
            }
        }
    }

    private LogIndex CommittedNow()
    {
        LogIndex max = default;
        foreach (TestNode node in _nodes.Values)
        {
            if (node.IsUp && node.Group!.CommitIndex > max)
            {
                max = node.Group.CommitIndex;
            }
        }

        return max;
    }

    private void Require(bool condition, string what)
    {
        if (!condition)
        {
            throw new InvariantBrokenException($"{what}\n{Describe()}");
        }
    }

    private string Describe()
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"seed {Seed}, round {_round}\n");
        foreach (TestNode node in _nodes.Values)
        {
            RaftGroup? g = node.Group;
            text.Append(node.Id)
                .Append(' ')
                .Append(
                    g is null
                        ? "down"
                        : $"{g.Role} term={g.Term} leader={g.Leader} commit={g.CommitIndex} applied={g.AppliedIndex} "
                            + $"last={g.LastTerm}/{g.LastIndex} persisted={g.PersistedIndex} compacted={g.CompactedIndex} {g.Membership}")
                .Append('\n');
            if (g is { Role: RaftRole.Leader })
            {
                List<PeerStatus> peers = [];
                g.GetPeers(peers);
                foreach (PeerStatus peer in peers)
                {
                    text.Append("    ").Append(peer.ToString()).Append('\n');
                }
            }
        }

        return text.ToString();
    }
}

using Henge.Core;

namespace Henge.Raft;

// What an operator does about a group whose majority is lost for ever (docs/decisions/0200-when-a-majority-is-lost.md). Nothing in here is
// of Raft: it breaks the rule that a majority decides, and rests on the operator's word that nobody is left who could decide otherwise.
public sealed partial class RaftGroup
{
    /// <summary>
    /// Has this member go on alone with what it has: a membership in which it is the only voter is written behind its log, in a term that
    /// nobody has been in. It is elected as soon as that is durable, and everything in its log is committed with it. Asked again, it
    /// does nothing more, and says how far that is.
    /// </summary>
    /// <param name="term">A term above all that any member is known to have been in, and the same one each time.</param>
    /// <param name="lastIndex">Where the log ends that the operator was shown.</param>
    /// <param name="lastTerm">The term of the entry there.</param>
    /// <param name="learners">Other members that are left: they get the log.</param>
    public RecoveryStatus Recover(Term term, LogIndex lastIndex, Term lastTerm, IEnumerable<NodeId> learners)
    {
        // An entry of the term or a later one: this membership is what the term began with.
        if (LastTerm < term)
        {
            if (LastIndex != lastIndex || LastTerm != lastTerm || Term > term || (Term == term && _votedFor != _self))
            {
                return RecoveryStatus.Differs;
            }

            BecomeFollower(term, NodeId.None);
            // Nobody else is helped in the term in which the entry is written.
            _votedFor = _self;
            _persist.HardStateChanged();
            var membership = new Membership([_self], learners.Where(id => id != _self));
            _log.Append(new Entry(_log.LastIndex.Next, Term, EntryKind.Membership, membership.Encode()));
            _memberships.Append(_log.LastIndex, membership);
            _membershipChanged = true;
        }

        return _log.TermAt(_persist.PersistedIndex) >= term ? RecoveryStatus.Durable : RecoveryStatus.Written;
    }

    /// <summary>
    /// The terms of the log's entries, as the first index of each and the term, oldest first: the last <paramref name="most"/> of them.
    /// </summary>
    public IReadOnlyList<(LogIndex First, Term Term)> TermsOfLog(int most) => _log.Runs(most);
}

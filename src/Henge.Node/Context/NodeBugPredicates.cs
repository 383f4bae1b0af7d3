using Henge.Core;

namespace Henge.Node.Context;

/// <summary>
/// The node's bugs on purpose, each with a name that the rules can say. False outside of the simulator and of tests
/// (<see cref="PlantedBugs.AreAllowed"/>).
/// </summary>
internal static class NodeBugPredicates
{
    extension(NodeBugs bugs)
    {
        /// <summary>A snapshot leaves out who has written what, so that a retry after it takes effect again.</summary>
        public bool DropsSessionsFromSnapshot => Has(bugs, NodeBugs.DropSessionsFromSnapshot);

        /// <summary>Retries are not recognized.</summary>
        public bool ForgetsSessions => Has(bugs, NodeBugs.ForgetSessions);

        /// <summary>A watch that goes from history to live events loses the first of these.</summary>
        public bool LosesWatchEventAtSeam => Has(bugs, NodeBugs.LoseWatchEventAtSeam);

        /// <summary>A new leader gives versions by its clock alone.</summary>
        public bool ReusesVersion => Has(bugs, NodeBugs.ReuseVersion);

        /// <summary>A scan reads what is applied on its node, without asking the leaders.</summary>
        public bool SkipsScanBarrier => Has(bugs, NodeBugs.SkipScanBarrier);

        /// <summary>A node agrees with every heartbeat that shards share, even if it follows another leader.</summary>
        public bool AgreesWithAnyLeader => Has(bugs, NodeBugs.AgreeWithAnyLeader);

        /// <summary>Answers to heartbeats that shards share count even if they were asked for before a restart.</summary>
        public bool ForgetsStartOfHeartbeats => Has(bugs, NodeBugs.ForgetStartOfHeartbeats);

        /// <summary>Heartbeats that shards share speak for workers that stand still, too.</summary>
        public bool VouchesForHungWorkers => Has(bugs, NodeBugs.VouchForHungWorkers);

        /// <summary>Heartbeats that shards share are answered for workers that stand still, too.</summary>
        public bool AnswersForHungWorkers => Has(bugs, NodeBugs.AnswerForHungWorkers);

        /// <summary>Writes that come back undone when the leader changes go behind those that wait, and nothing waits for them.</summary>
        public bool RequeuesBehind => Has(bugs, NodeBugs.RequeueBehind);

        /// <summary>A replica does not know what its node sent to leaders before it had one, nor what another one sent before.</summary>
        public bool SendsItsOwn => Has(bugs, NodeBugs.SendsApart);

        /// <summary>A leader takes forwarded writes that were sent to it in an earlier term of its own.</summary>
        public bool TakesForwardsOfAnyTerm => Has(bugs, NodeBugs.TakeForwardsOfAnyTerm);

        /// <summary>A leader takes forwarded writes in any order.</summary>
        public bool TakesForwardsInAnyOrder => Has(bugs, NodeBugs.TakeForwardsInAnyOrder);

        /// <summary>A read does not wait for writes of its own pipeline.</summary>
        public bool ReadsBesideOwnWrites => Has(bugs, NodeBugs.ReadBesideOwnWrites);

        /// <summary>
        /// Nodes whose clusters were made with other settings take each other's frames, and any replication factor is accepted.
        /// </summary>
        public bool DoesNotCompareHellos => Has(bugs, NodeBugs.HelloNotCompared);

        /// <summary>A node goes by its own wall clock, whatever the others' say.</summary>
        public bool TrustsOwnClock => Has(bugs, NodeBugs.TrustOwnClock);

        /// <summary>A retry whose session has ended is taken for a new request.</summary>
        public bool RepeatsAfterSessionEnd => Has(bugs, NodeBugs.RepeatAfterSessionEnd);

        /// <summary>A first attempt that comes after its retry was done and forgotten is taken for a new request.</summary>
        public bool RepeatsForgottenFirst => Has(bugs, NodeBugs.RepeatForgottenFirst);

        /// <summary>A transaction that did nothing leaves the number of its session unused.</summary>
        public bool ForgetsVoidedNumbers => Has(bugs, NodeBugs.ForgetVoidedNumbers);

        /// <summary>Reads judge what has expired by the clock of the node that serves them.</summary>
        public bool ExpiresByOwnClock => Has(bugs, NodeBugs.ExpireByOwnClock);

        /// <summary>A node opens watches before it knows that it is part of its cluster.</summary>
        public bool WatchesBeforeJoining => Has(bugs, NodeBugs.WatchBeforeJoining);

        /// <summary>A transaction overlooks that a key was made and deleted since it was looked at.</summary>
        public bool OverlooksDeletionsInExec => Has(bugs, NodeBugs.OverlookDeletionsInExec);

        /// <summary>A retry of an increment of a hash's field is taken for a new request.</summary>
        public bool RepeatsHashIncrements => Has(bugs, NodeBugs.RepeatHashIncrements);

        /// <summary>A hash whose last field is deleted stays, without fields.</summary>
        public bool KeepsEmptiedHash => Has(bugs, NodeBugs.KeepEmptiedHash);

        /// <summary>An increment of a hash's field does not see what earlier commands of its batch wrote.</summary>
        public bool LosesHashDeltaInBatch => Has(bugs, NodeBugs.LoseHashDeltaInBatch);

        /// <summary>A snapshot carries hashes as plain values.</summary>
        public bool DropsTypesFromSnapshot => Has(bugs, NodeBugs.DropTypesFromSnapshot);

        /// <summary>A command that meets damage while it is applied is left out, and what follows is applied.</summary>
        public bool AppliesPastDamage => Has(bugs, NodeBugs.ApplyPastDamage);

        /// <summary>A key whose block is damaged is taken for one that is not there.</summary>
        public bool AnswersFromDamaged => Has(bugs, NodeBugs.AnswerFromDamaged);

        /// <summary>A read that another node has sent is answered without proof that this node leads.</summary>
        public bool AnswersForwardsUnproven => Has(bugs, NodeBugs.AnswerForwardsUnproven);

        /// <summary>A page of a scan is read for another node before history is closed at its version.</summary>
        public bool PagesBeforeClosed => Has(bugs, NodeBugs.PageBeforeClosed);

        /// <summary>A node that has no replica of a shard answers as if it had an empty one.</summary>
        public bool AnswersForForeignShards => Has(bugs, NodeBugs.AnswerForForeignShards);

        /// <summary>A hint at the leader of an earlier term goes out with the newest term that is known.</summary>
        public bool NamesLeadersOfOtherTerms => Has(bugs, NodeBugs.NameLeaderOfAnotherTerm);

        /// <summary>A node is taken in without a look at whether another one was at the same time.</summary>
        public bool GivesNumbersTwice => Has(bugs, NodeBugs.GiveNumbersTwice);

        /// <summary>Members that have left are listened to.</summary>
        public bool HearsMembersThatLeft => Has(bugs, NodeBugs.HearMembersThatLeft);

        /// <summary>A member that has joined counts as caught up from the start.</summary>
        public bool IsUpBeforeCaughtUp => Has(bugs, NodeBugs.UpBeforeCaughtUp);

        /// <summary>A watch that goes on at another node begins there a little behind where it stands.</summary>
        public bool ReopensWatchTooLate => Has(bugs, NodeBugs.ReopenWatchTooLate);

        /// <summary>A watch takes over how far events lead although some before them were lost.</summary>
        public bool TakesPositionsBehindGap => Has(bugs, NodeBugs.TakePositionsBehindGap);

        /// <summary>A watch takes events of another node again when they come again.</summary>
        public bool TakesEventsTwice => Has(bugs, NodeBugs.TakeEventsTwice);

        /// <summary>A leader says that a replica is not needed any more before the membership without it is committed.</summary>
        public bool DropsBeforeCommitted => Has(bugs, NodeBugs.DropBeforeCommitted);

        /// <summary>A replica that drops what it has forgets its term and vote.</summary>
        public bool ForgetsVotesOfDropped => Has(bugs, NodeBugs.ForgetVotesOfDropped);

        /// <summary>A member that leaves has left once the placement does not name it, whatever shards still count on.</summary>
        public bool LeavesWhileCountedOn => Has(bugs, NodeBugs.LeaveWhileCountedOn);

        /// <summary>A shard is led before it is known that there is a cluster of the node's settings.</summary>
        public bool LeadsBeforeCluster => Has(bugs, NodeBugs.LeadBeforeCluster);

        /// <summary>Elections that have ended still count as under way.</summary>
        public bool KeepsEndedElections => Has(bugs, NodeBugs.KeepEndedElections);

        /// <summary>A shard that is absent begins when it is asked for a vote.</summary>
        public bool BeginsForVotes => Has(bugs, NodeBugs.ForgetVotesOfDropped);

        /// <summary>A leader does not take learners back that its shard is not to have any more.</summary>
        public bool LeavesLearnersBehind => Has(bugs, NodeBugs.LeaveLearnersBehind);

        /// <summary>Whoever leads the catalog plans once and never again.</summary>
        public bool TrustsFirstPlan => Has(bugs, NodeBugs.TrustFirstPlan);

        /// <summary>A snapshot for a member that a shard moves to leaves out who has written what.</summary>
        public bool ForgetsSessionsInMove => Has(bugs, NodeBugs.ForgetSessionsInMove);

        /// <summary>A snapshot that takes the place of another one, of which a part has come, goes on behind that part.</summary>
        public bool ResumesOnOtherSnapshot => Has(bugs, NodeBugs.ResumeOnOtherSnapshot);

        /// <summary>A change of users and roles is written without a look whether another one came first.</summary>
        public bool LosesAccessChanges => Has(bugs, NodeBugs.LoseAccessChanges);

        /// <summary>What another node has let through is done, whatever that node did not know yet of users and roles.</summary>
        public bool TrustsOldChecks => Has(bugs, NodeBugs.TrustOldChecks);

        /// <summary>A member is removed without a look at what else was changed since that was found harmless.</summary>
        public bool JudgesChangesAlone => Has(bugs, NodeBugs.JudgeChangesAlone);

        /// <summary>In a recovery, a node goes on listening to those who were given up for lost.</summary>
        public bool HearsTheLost => Has(bugs, NodeBugs.HearTheLost);

        /// <summary>In a recovery, a node says that it has done its part before that is durable.</summary>
        public bool RecoversBeforeSync => Has(bugs, NodeBugs.RecoverBeforeSync);
    }

    private static bool Has(NodeBugs bugs, NodeBugs bug) => PlantedBugs.AreAllowed && (bugs & bug) != 0;
}

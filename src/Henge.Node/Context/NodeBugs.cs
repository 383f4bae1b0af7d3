namespace Henge.Node.Context;

/// <summary>
/// Deliberate bugs of the node (those of consensus are <see cref="Raft.RaftBugs"/>), for the simulator to prove that it would find them.
/// Never set outside of it.
/// </summary>
[Flags]
internal enum NodeBugs : long
{
    /// <summary>The real thing.</summary>
    None = 0,
    /// <summary>A snapshot leaves out who has written what, so that a retry after it takes effect again.</summary>
    DropSessionsFromSnapshot = 1 << 0,
    /// <summary>Retries are not recognized.</summary>
    ForgetSessions = 1 << 1,
    /// <summary>A watch that goes from history to live events loses the first of these.</summary>
    LoseWatchEventAtSeam = 1 << 2,
    /// <summary>A new leader gives versions by its clock alone.</summary>
    ReuseVersion = 1 << 4,
    /// <summary>A scan reads what is applied on its node, without asking the leaders.</summary>
    SkipScanBarrier = 1 << 5,
    /// <summary>A node agrees with every heartbeat that shards share, even if it follows another leader.</summary>
    AgreeWithAnyLeader = 1 << 6,
    /// <summary>Answers to heartbeats that shards share count even if they were asked for before a restart.</summary>
    ForgetStartOfHeartbeats = 1 << 20,
    /// <summary>Heartbeats that shards share speak for workers that stand still, too.</summary>
    VouchForHungWorkers = 1 << 21,
    /// <summary>Heartbeats that shards share are answered for workers that stand still, too.</summary>
    AnswerForHungWorkers = 1 << 22,
    /// <summary>Writes that come back undone when the leader changes go behind those that wait, and nothing waits for them.</summary>
    RequeueBehind = 1 << 12,
    /// <summary>A replica does not know what its node sent to leaders before it had one, nor what another one sent before.</summary>
    SendsApart = 1 << 10,
    /// <summary>A leader takes forwarded writes that were sent to it in an earlier term of its own.</summary>
    TakeForwardsOfAnyTerm = 1 << 13,
    /// <summary>A leader takes forwarded writes in any order.</summary>
    TakeForwardsInAnyOrder = 1 << 14,
    /// <summary>A read does not wait for writes of its own pipeline.</summary>
    ReadBesideOwnWrites = 1 << 15,
    /// <summary>
    /// Nodes whose clusters were made with other settings take each other's frames, and any replication factor is accepted.
    /// </summary>
    HelloNotCompared = 1 << 7,
    /// <summary>A node goes by its own wall clock, whatever the others' say.</summary>
    TrustOwnClock = 1 << 24,
    /// <summary>A retry whose session has ended is taken for a new request.</summary>
    RepeatAfterSessionEnd = 1 << 25,
    /// <summary>A first attempt that comes after its retry was done and forgotten is done again.</summary>
    RepeatForgottenFirst = 1L << 54,
    /// <summary>A transaction that did nothing leaves the number of its session unused.</summary>
    ForgetVoidedNumbers = 1 << 23,
    /// <summary>Reads judge what has expired by the clock of the node that serves them.</summary>
    ExpireByOwnClock = 1 << 26,
    /// <summary>A node opens watches before it knows that it is part of its cluster.</summary>
    WatchBeforeJoining = 1 << 27,
    /// <summary>A transaction overlooks that a key was made and deleted since it was looked at.</summary>
    OverlookDeletionsInExec = 1 << 3,
    /// <summary>A retry of an increment of a hash's field is taken for a new request.</summary>
    RepeatHashIncrements = 1 << 16,
    /// <summary>A hash whose last field is deleted stays, without fields.</summary>
    KeepEmptiedHash = 1 << 17,
    /// <summary>An increment of a hash's field does not see what earlier commands of its batch wrote.</summary>
    LoseHashDeltaInBatch = 1 << 19,
    /// <summary>A snapshot carries hashes as plain values.</summary>
    DropTypesFromSnapshot = 1 << 18,
    /// <summary>A command that meets damage while it is applied is left out, and what follows is applied.</summary>
    ApplyPastDamage = 1 << 28,
    /// <summary>A key whose block is damaged is taken for one that is not there.</summary>
    AnswerFromDamaged = 1 << 29,
    /// <summary>A read that another node has sent is answered without proof that this node leads.</summary>
    AnswerForwardsUnproven = 1L << 40,
    /// <summary>A page of a scan is read for another node before history is closed at its version.</summary>
    PageBeforeClosed = 1L << 41,
    /// <summary>A node that has no replica of a shard answers as if it had an empty one.</summary>
    AnswerForForeignShards = 1L << 42,
    /// <summary>A hint at the leader of an earlier term goes out with the newest term that is known.</summary>
    NameLeaderOfAnotherTerm = 1L << 44,
    /// <summary>A node is taken in without a look at whether another one was at the same time.</summary>
    GiveNumbersTwice = 1L << 56,
    /// <summary>Members that have left are listened to.</summary>
    HearMembersThatLeft = 1L << 57,
    /// <summary>A member that has joined counts as caught up from the start.</summary>
    UpBeforeCaughtUp = 1L << 58,
    /// <summary>A watch that goes on at another node begins there a little behind where it stands.</summary>
    ReopenWatchTooLate = 1L << 48,
    /// <summary>A watch takes over how far events lead although some before them were lost.</summary>
    TakePositionsBehindGap = 1L << 49,
    /// <summary>A watch takes events of another node again when they come again.</summary>
    TakeEventsTwice = 1L << 50,
    /// <summary>A leader says that a replica is not needed any more before the membership without it is committed.</summary>
    DropBeforeCommitted = 1 << 8,
    /// <summary>A replica that drops what it has forgets its term and vote, and begins anew when it is asked for a vote.</summary>
    ForgetVotesOfDropped = 1 << 9,
    /// <summary>A member that leaves has left once the placement does not name it, whatever shards still count on.</summary>
    LeaveWhileCountedOn = 1L << 61,
    /// <summary>Lead a shard before it is known that there is a cluster of the node's settings.</summary>
    LeadBeforeCluster = 1L << 60,
    /// <summary>A leader does not take learners back that its shard is not to have any more.</summary>
    LeaveLearnersBehind = 1L << 52,
    /// <summary>Whoever leads the catalog plans once and never again.</summary>
    TrustFirstPlan = 1L << 53,
    /// <summary>A member is removed without a look at what else was changed since that was found harmless.</summary>
    JudgeChangesAlone = 1L << 45,
    /// <summary>Elections that have ended still count as under way.</summary>
    KeepEndedElections = 1L << 62,
    /// <summary>A change of users and roles does not look whether another one came first.</summary>
    LoseAccessChanges = 1L << 55,
    /// <summary>What another node has let through is done, whatever that node did not know yet of users and roles.</summary>
    TrustOldChecks = 1L << 30,
    /// <summary>A snapshot for a member that a shard moves to leaves out who has written what.</summary>
    ForgetSessionsInMove = 1L << 43,
    /// <summary>A snapshot that takes the place of another one, of which a part has come, goes on behind that part.</summary>
    ResumeOnOtherSnapshot = 1L << 51,
    /// <summary>In a recovery, a node goes on listening to those who were given up for lost.</summary>
    HearTheLost = 1L << 47,
    /// <summary>In a recovery, a node says that it has done its part before that is durable.</summary>
    RecoverBeforeSync = 1L << 46,
}

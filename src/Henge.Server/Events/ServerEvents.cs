using Henge.Core;
using Henge.Node.Api;
using Microsoft.Extensions.Logging;

namespace Henge.Server.Events;

/// <summary>
/// Every event that a node logs: its id, level and text. An id is never changed and never used again; docs/events.md lists them, with those
/// that have been withdrawn.
/// </summary>
internal static partial class ServerEvents
{
    /// <summary>All categories.</summary>
    public static IReadOnlyList<string> Categories { get; } =
    [
        Node.Category, Raft.Category, Snapshots.Category, Storage.Category, Clocks.Category, Peers.Category, Grpc.Category, Http.Category,
        Resp.Category, Tls.Category, Access.Category,
    ];

    /// <summary>Starting, stopping and readiness: 1000 to 1099.</summary>
    public static partial class Node
    {
        public const string Category = "Henge.Node";

        [LoggerMessage(1001, LogLevel.Information, "Node {Name} ({Id}) starts for the first time, with the new data directory '{Directory}'.")]
        public static partial void NodeCreated(ILogger logger, string name, NodeId id, string directory);

        [LoggerMessage(1002, LogLevel.Information, "Node {Name} ({Id}) restarts with the data directory '{Directory}'.")]
        public static partial void NodeRestarted(ILogger logger, string name, NodeId id, string directory);

        [LoggerMessage(1003, LogLevel.Information, "The id of the cluster is {ClusterId}.")]
        public static partial void ClusterIdKnown(ILogger logger, string clusterId);

        [LoggerMessage(1004, LogLevel.Information, "Node {Name} listens on {EndPoint}.")]
        public static partial void Listening(ILogger logger, string name, string endPoint);

        [LoggerMessage(1005, LogLevel.Information, "Ready: every shard has a leader.")]
        public static partial void Ready(ILogger logger);

        [LoggerMessage(1006, LogLevel.Warning, "Not ready: {Problem}")]
        public static partial void NotReady(ILogger logger, string problem);

        [LoggerMessage(1011, LogLevel.Information, "{Name} joined the cluster {ClusterId} as member {Id}.")]
        public static partial void Joined(ILogger logger, string name, NodeId id, string clusterId);

        [LoggerMessage(1012, LogLevel.Warning, "The node at {Address} has not taken this node into its cluster yet; it is asked again: {Problem}")]
        public static partial void JoinDelayed(ILogger logger, string address, string problem);

        [LoggerMessage(1010, LogLevel.Information, "Stopping: no new connections; calls under way may end.")]
        public static partial void Stopping(ILogger logger);

        [LoggerMessage(1007, LogLevel.Information, "Stopped.")]
        public static partial void Stopped(ILogger logger);

        [LoggerMessage(1008, LogLevel.Critical, "The node cannot start: {Problem}")]
        public static partial void StartFailed(ILogger logger, string problem);

        [LoggerMessage(1009, LogLevel.Critical, "The node ends itself: {Problem}")]
        public static partial void Fatal(ILogger logger, string problem, Exception? exception);

        [LoggerMessage(1013, LogLevel.Warning, "{Message}")]
        public static partial void Left(ILogger logger, string message);

        [LoggerMessage(
            1015,
            LogLevel.Warning,
            "The data directory '{Directory}' can be read by every user of this machine, and with it all data. Make it its owner's alone: "
                + "chmod 700")]
        public static partial void DataDirectoryReadable(ILogger logger, string directory);

        [LoggerMessage(
            1014,
            LogLevel.Critical,
            "The cluster is recovered by plan {Plan}: given up for ever, with all that only they have: {Lost}.")]
        public static partial void RecoveryBegun(ILogger logger, string plan, string lost);
    }

    /// <summary>Leaders and members of shards: 1100 to 1199.</summary>
    public static partial class Raft
    {
        public const string Category = "Henge.Raft";

        [LoggerMessage(1101, LogLevel.Information, "This node leads shard {Shard} in term {Term}.")]
        public static partial void LeadershipGained(ILogger logger, ShardId shard, ulong term);

        [LoggerMessage(1102, LogLevel.Information, "This node leads shard {Shard} no longer; term {Term}, leader: {Leader}.")]
        public static partial void LeadershipLost(ILogger logger, ShardId shard, ulong term, string leader);

        [LoggerMessage(1103, LogLevel.Debug, "{Leader} leads shard {Shard} in term {Term}.")]
        public static partial void LeaderChanged(ILogger logger, ShardId shard, ulong term, string leader);

        [LoggerMessage(1104, LogLevel.Information, "The members of shard {Shard} change: voters {Voters}, learners {Learners}.")]
        public static partial void MembershipChangeProposed(ILogger logger, ShardId shard, string voters, string learners);

        [LoggerMessage(1105, LogLevel.Warning, "The leadership of shard {Shard} was not transferred to {To}: {Problem}.")]
        public static partial void LeadershipTransferRefused(ILogger logger, ShardId shard, string to, string problem);

        [LoggerMessage(1106, LogLevel.Information, "This node begins to have a replica of shard {Shard}.")]
        public static partial void ReplicaBegun(ILogger logger, ShardId shard);

        [LoggerMessage(
            1107,
            LogLevel.Information,
            "The replica of shard {Shard} on this node is dropped: it is no member since entry {Index} of the shard's log.")]
        public static partial void ReplicaDropped(ILogger logger, ShardId shard, ulong index);

        [LoggerMessage(
            1108,
            LogLevel.Critical,
            "Shard {Shard} goes on alone from this node by plan {Plan}: what was written after version {Version} (entry {Index}) is lost.")]
        public static partial void ShardRecovered(ILogger logger, ShardId shard, string plan, Core.Version version, ulong index);

        [LoggerMessage(1109, LogLevel.Information, "Besides those named in the last second, this node leads {Count} more shards.")]
        public static partial void MoreLeadershipsGained(ILogger logger, int count);

        [LoggerMessage(1110, LogLevel.Information, "Besides those named in the last second, this node leads {Count} more shards no longer.")]
        public static partial void MoreLeadershipsLost(ILogger logger, int count);
    }

    /// <summary>Snapshots of shards between nodes: 1200 to 1299.</summary>
    public static partial class Snapshots
    {
        public const string Category = "Henge.Snapshots";

        [LoggerMessage(1201, LogLevel.Information, "Sending a snapshot of shard {Shard} as of index {Index} to {To}.")]
        public static partial void SnapshotSending(ILogger logger, ShardId shard, string to, ulong index);

        [LoggerMessage(1202, LogLevel.Warning, "The snapshot of shard {Shard} did not reach {To}; another one will be sent.")]
        public static partial void SnapshotNotDelivered(ILogger logger, ShardId shard, string to);

        [LoggerMessage(1203, LogLevel.Information, "Installed a snapshot of shard {Shard} as of index {Index}.")]
        public static partial void SnapshotInstalled(ILogger logger, ShardId shard, ulong index);

        [LoggerMessage(1204, LogLevel.Error, "Refused a snapshot of shard {Shard} from {From}, because the disk is full: {Problem}")]
        public static partial void SnapshotRefused(ILogger logger, ShardId shard, string from, string problem);

        [LoggerMessage(
            1205,
            LogLevel.Error,
            "A snapshot of shard {Shard} waits for space on the disk; the shard is not served here until then: {Problem}")]
        public static partial void SnapshotInstallDelayed(ILogger logger, ShardId shard, string problem);
    }

    /// <summary>The disk and what is on it: 1300 to 1399.</summary>
    public static partial class Storage
    {
        public const string Category = "Henge.Storage";

        [LoggerMessage(1301, LogLevel.Warning, "The last record of the node's log was incomplete, as after a crash, and was cut off: {Problem}.")]
        public static partial void TornLogTailCut(ILogger logger, string problem);

        [LoggerMessage(1302, LogLevel.Error, "The disk is full: {Problem} Writes wait until there is space.")]
        public static partial void LogWritesDelayed(ILogger logger, string problem);

        [LoggerMessage(
            1303,
            LogLevel.Error,
            "Only {FreeBytes} bytes are free on the disk: writes are refused until there are {ReserveBytes}.")]
        public static partial void DiskSpaceLow(ILogger logger, long freeBytes, long reserveBytes);

        [LoggerMessage(1304, LogLevel.Information, "There is space on the disk again ({FreeBytes} bytes): writes are accepted.")]
        public static partial void DiskSpaceRecovered(ILogger logger, long freeBytes);

        [LoggerMessage(1305, LogLevel.Error, "Shard {Shard} is damaged: {Problem}")]
        public static partial void ShardDamaged(ILogger logger, ShardId shard, string problem);

        [LoggerMessage(1306, LogLevel.Error, "Shard {Shard} is damaged on all its members: {Problem}")]
        public static partial void ShardDamagedEverywhere(ILogger logger, ShardId shard, string problem);

        [LoggerMessage(1307, LogLevel.Error, "Shard {Shard} applies nothing after entry {Applied}: {Problem}")]
        public static partial void ApplyStopped(ILogger logger, ShardId shard, ulong applied, string problem);
    }

    /// <summary>Clocks: 1400 to 1499.</summary>
    public static partial class Clocks
    {
        public const string Category = "Henge.Clocks";

        [LoggerMessage(
            1401,
            LogLevel.Warning,
            "The clock of {Peer} differs by {OffsetMs} ms from the majority of the cluster's clocks (positive: ahead). It uses theirs; set "
                + "its clock.")]
        public static partial void PeerClockOff(ILogger logger, string peer, long offsetMs);

        [LoggerMessage(1402, LogLevel.Information, "The clock of {Peer} agrees with the cluster's clocks again.")]
        public static partial void PeerClockAgrees(ILogger logger, string peer);

        [LoggerMessage(
            1403,
            LogLevel.Warning,
            "This node's clock differs by {OffsetMs} ms from the majority of the cluster's clocks (positive: ahead). Versions and times to "
                + "live use theirs. Set the clock, with NTP for example.")]
        public static partial void OwnClockOff(ILogger logger, long offsetMs);

        [LoggerMessage(1404, LogLevel.Information, "This node's clock agrees with the majority of the cluster's clocks again.")]
        public static partial void OwnClockAgrees(ILogger logger);

        [LoggerMessage(
            1405,
            LogLevel.Warning,
            "The versions of shard {Shard} are {LeadMs} ms ahead of the cluster's clocks, because some clock was ahead earlier. Versions "
                + "only count up until the clocks have caught up, and keys written with a time to live live longer by that. See "
                + "docs/operations.md, \"Clocks\".")]
        public static partial void VersionsAheadOfClocks(ILogger logger, ShardId shard, long leadMs);
    }

    /// <summary>The other nodes: 1500 to 1599.</summary>
    public static partial class Peers
    {
        public const string Category = "Henge.Peers";

        [LoggerMessage(1501, LogLevel.Information, "Connected to {Peer} at {Address}.")]
        public static partial void PeerConnected(ILogger logger, string peer, string address);

        [LoggerMessage(1502, LogLevel.Warning, "The connection to {Peer} at {Address} was lost; it is tried again.")]
        public static partial void PeerDisconnected(ILogger logger, string peer, string address);

        [LoggerMessage(1503, LogLevel.Debug, "{Peer} at {Address} cannot be connected to: {Problem}.")]
        public static partial void PeerConnectFailed(ILogger logger, string peer, string address, string problem);

        [LoggerMessage(1504, LogLevel.Warning, "A connection from {Remote} that began as a node's was closed: {Problem}.")]
        public static partial void PeerProtocolBroken(ILogger logger, string remote, string problem);

        [LoggerMessage(1505, LogLevel.Error, "Refused {Peer}: {Problem}")]
        public static partial void PeerRefused(ILogger logger, string peer, string problem);

        [LoggerMessage(1506, LogLevel.Error, "Refused the messages of {Peer}: {Problem}")]
        public static partial void PeerDirectoryRefused(ILogger logger, string peer, string problem);

        [LoggerMessage(1507, LogLevel.Error, "Dropped a frame from {Sender} of a cluster that was made with other settings.")]
        public static partial void ForeignFrameDropped(ILogger logger, NodeId sender);

        [LoggerMessage(
            1508,
            LogLevel.Error,
            "Dropped a frame from {Sender} to {Receiver}, which is not this node. The addresses in the list of cluster are wrong.")]
        public static partial void MisaddressedFrameDropped(ILogger logger, NodeId sender, NodeId receiver);

        [LoggerMessage(1509, LogLevel.Information, "Member {Number}, {Peer} at {Address}, is {State}.")]
        public static partial void MemberChanged(ILogger logger, NodeId number, string peer, string address, MemberState state);

        [LoggerMessage(1510, LogLevel.Warning, "Refused the messages of {Peer}, which has left the cluster.")]
        public static partial void LeftMemberRefused(ILogger logger, string peer);
    }

    /// <summary>Calls of clients by gRPC: 1600 to 1619.</summary>
    public static partial class Grpc
    {
        public const string Category = "Henge.Grpc";

        [LoggerMessage(1601, LogLevel.Error, "The call {Path} failed with an unexpected error.")]
        public static partial void CallFailed(ILogger logger, Exception exception, string path);
    }

    /// <summary>Requests of clients by HTTP/1.1: 1620 to 1639.</summary>
    public static partial class Http
    {
        public const string Category = "Henge.Http";

        [LoggerMessage(1621, LogLevel.Error, "The request {Method} {Path} failed with an unexpected error.")]
        public static partial void RequestFailed(ILogger logger, Exception exception, string method, string path);
    }

    /// <summary>Connections of Redis clients: 1640 to 1659.</summary>
    public static partial class Resp
    {
        public const string Category = "Henge.Resp";

        [LoggerMessage(
            1641,
            LogLevel.Error,
            "A command of a RESP connection failed: {Problem} ({Unlogged} more problems of RESP connections since the last line)")]
        public static partial void RespCommandFailed(ILogger logger, string problem, long unlogged);

        [LoggerMessage(
            1642,
            LogLevel.Warning,
            "Ended the RESP connection of {Address}: {Problem} ({Unlogged} more problems of RESP connections since the last line)")]
        public static partial void RespConnectionEnded(ILogger logger, string address, string problem, long unlogged);
    }

    /// <summary>Certificates, and who may come in: 1700 to 1799.</summary>
    public static partial class Tls
    {
        public const string Category = "Henge.Security";

        [LoggerMessage(
            1701,
            LogLevel.Information,
            "TLS by the certificate {Subject}, serial number {Serial}, good until {End:u}; {Authorities} authorities.")]
        public static partial void TlsLoaded(ILogger logger, string subject, string serial, DateTime end, int authorities);

        [LoggerMessage(
            1702,
            LogLevel.Information,
            "TLS goes on by new files: the certificate {Subject}, serial number {Serial}, good until {End:u}; {Authorities} authorities.")]
        public static partial void TlsReloaded(ILogger logger, string subject, string serial, DateTime end, int authorities);

        [LoggerMessage(1703, LogLevel.Warning, "The changed files of TLS are not used, and those before stay in use: {Problem}")]
        public static partial void TlsReloadFailed(ILogger logger, string problem);

        [LoggerMessage(1704, LogLevel.Warning, "{File} ends on {End:u}, in {Days} days. Renew it with: henge cert renew.")]
        public static partial void TlsNearExpiry(ILogger logger, string file, DateTime end, int days);

        [LoggerMessage(
            1705,
            LogLevel.Error,
            "{File} is over since {End:u}: others refuse connections by it. Renew it with: henge cert renew.")]
        public static partial void TlsExpired(ILogger logger, string file, DateTime end);

        [LoggerMessage(
            1706,
            LogLevel.Warning,
            "INSECURE: started with --insecure. Whoever reaches {Address} can read and write everything, and what is sent there can be read "
                + "on its way. Use certificates (henge cert) and leave --insecure out.")]
        public static partial void Insecure(ILogger logger, string address);

        [LoggerMessage(1708, LogLevel.Debug, "The TLS handshake with {Remote} failed: {Problem}.")]
        public static partial void TlsHandshakeFailed(ILogger logger, string remote, string problem);

        [LoggerMessage(1707, LogLevel.Warning, "Refused {Remote} as a node: {Problem}.")]
        public static partial void PeerIdentityRefused(ILogger logger, string remote, string problem);
    }

    /// <summary>Who does what with users, roles and the cluster: 1800 to 1899.</summary>
    public static partial class Access
    {
        public const string Category = "Henge.Audit";

        [LoggerMessage(1801, LogLevel.Information, "{User} changed access: {Change}.")]
        public static partial void Changed(ILogger logger, string user, string change);

        [LoggerMessage(1802, LogLevel.Warning, "{User} was refused a change of access, {Kind} {Name}: {Code}.")]
        public static partial void ChangeRefused(ILogger logger, string user, string kind, string name, string code);

        [LoggerMessage(1803, LogLevel.Information, "{Caller} got a token for {User} that is good until {Expires:u}.")]
        public static partial void TokenGiven(ILogger logger, string caller, string user, DateTimeOffset expires);

        [LoggerMessage(1804, LogLevel.Warning, "A wrong name or password for {User} came from {Remote}.")]
        public static partial void LoginRefused(ILogger logger, string user, string remote);

        [LoggerMessage(1805, LogLevel.Warning, "A token from {Remote} was refused: {Problem}")]
        public static partial void TokenRefused(ILogger logger, string remote, string problem);

        [LoggerMessage(1806, LogLevel.Information, "{User} changed the cluster: {Change}.")]
        public static partial void ClusterChanged(ILogger logger, string user, string change);

        [LoggerMessage(
            1807,
            LogLevel.Error,
            "{Count} lines of the audit log were lost: it cannot be written, or more came than it takes. {LostInAll} were lost since the "
                + "node started.")]
        public static partial void AuditLinesLost(ILogger logger, int count, long lostInAll);

        [LoggerMessage(
            1808,
            LogLevel.Error,
            "The audit log cannot be written; it is tried again every second, and lines wait as long as there is room: {Problem}")]
        public static partial void AuditFailed(ILogger logger, string problem);

        [LoggerMessage(
            1810,
            LogLevel.Warning,
            "{User} asked for a change of access that failed, or of which it is not known whether it was made: {Change}: {Code}.")]
        public static partial void ChangeFailed(ILogger logger, string user, string change, string code);

        [LoggerMessage(
            1811,
            LogLevel.Warning,
            "{User} asked for a change of the cluster that failed, or of which it is not known whether it was made: {Change}: {Code}.")]
        public static partial void ClusterChangeFailed(ILogger logger, string user, string change, string code);

        [LoggerMessage(1812, LogLevel.Warning, "{User} was refused the call {Path} from {Remote}: {Code}.")]
        public static partial void CallRefused(ILogger logger, string user, string path, string remote, string code);

        [LoggerMessage(1809, LogLevel.Warning, "The audit log is written again. {LostInAll} lines were lost since the node started.")]
        public static partial void AuditRecovered(ILogger logger, long lostInAll);

        [LoggerMessage(1815, LogLevel.Warning, "The user 'root' has the password in the file of root-password-file now; its logins have ended.")]
        public static partial void RootPasswordSet(ILogger logger);

        [LoggerMessage(
            1816,
            LogLevel.Warning,
            "The user 'root' does not have the password in the file of root-password-file yet; it is tried again every second: {Problem}")]
        public static partial void RootPasswordNotSet(ILogger logger, string problem);

        [LoggerMessage(1813, LogLevel.Warning, "{Count} more logins with a wrong name or password were refused in the last seconds.")]
        public static partial void MoreLoginsRefused(ILogger logger, int count);

        [LoggerMessage(1814, LogLevel.Warning, "{Count} more tokens were refused in the last seconds.")]
        public static partial void MoreTokensRefused(ILogger logger, int count);
    }
}

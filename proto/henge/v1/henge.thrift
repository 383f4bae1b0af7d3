// The key-value API by Apache Thrift. Names, meanings and field numbers are those of kv.proto; see docs/protocol.md.
//
// Transport: framed. Protocol: binary (strict) or compact; the first frame of a connection decides. Calls of a connection
// are done one after another, in the order in which they came.
//
// Each error is an exception of its own. Its field number in a method's result is the number of its ErrorCode.
//
// Versions are 53-bit hybrid logical clocks: milliseconds since 2025-01-01T00:00:00Z << 12 | counter.

namespace netstd Henge.Thrift.Generated
namespace py henge.v1
namespace java henge.v1

// What kind of error it was. The numbers are the same by all protocols.
enum ErrorCode {
  INVALID_ARGUMENT = 1,
  TOO_LARGE = 2,
  HISTORY_GONE = 3,
  NOT_LEADER = 4,
  UNAVAILABLE = 5,
  UNKNOWN_OUTCOME = 6,
  DEADLINE_EXCEEDED = 7,
  RESOURCE_EXHAUSTED = 8,
  CROSS_SHARD = 9,
  CORRUPTION = 10,
  UNSUPPORTED_FORMAT = 11,
  LOCKED = 12,
  MISCONFIGURED = 13,
  CANCELLED = 14,
  STOPPING = 15,
  INTERNAL = 16,
  SESSION_EXPIRED = 17,
  DISK_FULL = 18,
  WRONG_TYPE = 19,
  UNAUTHENTICATED = 20,
  PERMISSION_DENIED = 21
}

// The request makes no sense; repeating it will not help.
exception InvalidArgument {
  1: ErrorCode code
  2: string message
}

// A key, value, transaction or result is over its limit.
exception TooLarge {
  1: ErrorCode code
  2: string message
}

// The version or time asked for is below the history that is kept; the message names the oldest there is.
exception HistoryGone {
  1: ErrorCode code
  2: string message
}

// This node does not lead the shard, and leader_only was set.
exception NotLeader {
  1: ErrorCode code
  2: string message
  // The leader's address; empty when it is not known.
  3: string leader_hint
  // The term in which it leads: a hint of a lower term than what the caller knows is out of date. 0: not known.
  4: i64 leader_term
}

// There is no majority, or no leader yet. Nothing was done; try again.
exception Unavailable {
  1: ErrorCode code
  2: string message
}

// The operation may or may not have taken effect.
exception UnknownOutcome {
  1: ErrorCode code
  2: string message
}

// The deadline passed before anything was done.
exception DeadlineExceeded {
  1: ErrorCode code
  2: string message
}

// Too much is under way; try again later.
exception ResourceExhausted {
  1: ErrorCode code
  2: string message
}

// Keys of one transaction lie on different shards.
exception CrossShard {
  1: ErrorCode code
  2: string message
}

// Data on a disk fails its checksum.
exception Corruption {
  1: ErrorCode code
  2: string message
}

// Something in the cluster has a format that this node, or the cluster's format level, does not know.
exception UnsupportedFormat {
  1: ErrorCode code
  2: string message
}

// The node is stopping.
exception Stopping {
  1: ErrorCode code
  2: string message
}

// The disk is full; writes are refused until there is room.
exception DiskFull {
  1: ErrorCode code
  2: string message
}

// The stored value is not of the type that the operation needs.
exception WrongType {
  1: ErrorCode code
  2: string message
}

// Access is checked, and nobody said who asks, or not truly.
exception Unauthenticated {
  1: ErrorCode code
  2: string message
}

// Who asks may not do that.
exception PermissionDenied {
  1: ErrorCode code
  2: string message
}

// Any other error; the code tells which.
exception InternalError {
  1: ErrorCode code
  2: string message
}

// How a read is made sure of.
enum Consistency {
  // As the server is set; linearizable by default.
  SERVER_DEFAULT = 0,
  LINEARIZABLE = 1,
  // By the leader's lease: no round trip; relies on the bound on clock drift.
  LEASE = 2,
  // Whatever the asked node has applied.
  STALE = 3
}

// What a value is.
enum DataType {
  BYTES = 0,
  // A hash: fields with values, stored as docs/formats.md says ("Hashes").
  HASH = 1
}

struct GetRequest {
  // It must be set; set to no bytes it is the empty key, which is a key like others.
  1: binary key
  // 0: now. Else the value as it was at this version.
  2: i64 version
  // As it was at the end of this millisecond (Unix time); 0: not used.
  3: i64 at_unix_ms
  4: Consistency consistency
  // Throw NotLeader with the leader's address instead of forwarding.
  5: bool leader_only
}

struct GetResult {
  1: binary value
  // The version that wrote the value; 0 when not found.
  2: i64 version
  3: bool found
  // Milliseconds until the value expires; 0: never.
  4: i64 ttl_remaining_ms
  5: DataType type
  // When another node answered in place of the asked one: the leader's address, and its term.
  6: string leader_hint
  7: i64 leader_term
}

struct KeyValue {
  1: binary key
  2: binary value
  3: i64 version
  // Milliseconds until it expires; 0: never.
  4: i64 ttl_remaining_ms
  5: DataType type
}

struct PutRequest {
  1: binary key
  2: binary value
  // Seconds until the value expires; 0: never. What would end after 2094 ends in 2094.
  3: i64 ttl_secs
  // The same in milliseconds; wins over ttl_secs when not 0.
  4: i64 ttl_ms
  // Write only if the key is at this version; 0: only if it does not exist.
  5: optional i64 if_version
  6: bool return_previous
  7: bool leader_only
  // Keep the expiry that the key has; not together with ttl_secs or ttl_ms.
  10: bool keep_ttl
  // What the value is; a hash that is not well formed is refused.
  12: DataType type
}

struct PutResult {
  // The version written; on a failed condition, the version that the key is at (0: does not exist).
  1: i64 version
  // False when the condition failed.
  2: bool success
  3: string leader_hint
  // What the key had before; with return_previous, and where there was something.
  4: optional KeyValue previous
  5: i64 leader_term
}

struct DeleteRequest {
  1: binary key
  // Delete only if the key is at this version.
  2: optional i64 if_version
  3: bool return_previous
  4: bool leader_only
}

struct DeleteResult {
  // True when the key existed and was deleted.
  1: bool success
  // The version of the deletion; on a failed condition, the version that the key is at.
  2: i64 version
  3: optional KeyValue previous
  // True when if_version did not hold.
  4: bool condition_failed
  5: string leader_hint
  6: i64 leader_term
}

struct ScanRequest {
  1: binary start_key
  // Exclusive; empty: no end.
  2: binary end_key
  // At most this many pairs; 0: as many as the server's page allows.
  3: i32 limit
  // Instead of start_key and end_key.
  4: binary prefix
  5: bool reverse
  6: bool keys_only
  7: bool count_only
  // From an earlier page: goes on where that ended, as of the same version.
  8: binary continuation
  9: i64 version
  10: i64 at_unix_ms
  11: Consistency consistency
}

struct ScanPage {
  1: list<KeyValue> pairs
  // Not empty when there is more.
  2: binary continuation
  // The version as of which was read.
  3: i64 version
  // With count_only: how many keys.
  4: i64 count
}

struct MultiGetRequest {
  1: list<binary> keys
  2: i64 version
  3: i64 at_unix_ms
  4: Consistency consistency
}

// What became of one put of several: one of the two is set.
struct PutOutcome {
  1: optional PutResult result
  2: optional Failure failure
}

struct Failure {
  1: ErrorCode code
  2: string message
  3: string leader_hint
  4: i64 leader_term
}

enum Relation {
  EQUAL = 0,
  NOT_EQUAL = 1,
  LESS = 2,
  GREATER = 3
}

// A comparison: one of version, value and exists is set.
struct Compare {
  1: binary key
  2: Relation relation
  // Compared with the version that wrote the key (0: does not exist).
  3: optional i64 version
  // Compared with the value, bytewise.
  4: optional binary value
  // EQUAL true: it exists.
  5: optional bool exists
}

union TxnOperation {
  1: GetRequest get
  2: PutRequest put
  3: DeleteRequest remove
}

struct TxnRequest {
  1: list<Compare> compare
  // Done when all comparisons hold,
  2: list<TxnOperation> success
  // and these when one does not.
  3: list<TxnOperation> failure
  6: bool leader_only
}

union TxnOperationResult {
  1: GetResult get
  2: PutResult put
  3: DeleteResult remove
}

struct TxnResult {
  // True when all comparisons held and the operations of "success" were done.
  1: bool succeeded
  2: list<TxnOperationResult> results
  3: i64 version
  4: string leader_hint
  5: i64 leader_term
}

struct ShardStatus {
  1: i32 shard
  2: string role
  3: i64 term
  4: string leader_id
  5: i64 committed_index
  6: i64 applied_index
  7: i64 last_index
  8: i64 first_index
  9: i64 last_version
  // Empty when all is well.
  11: string error
}

struct NodeStatus {
  1: string node_id
  // "leader" when it leads at least one shard, else "follower" (or "candidate", "learner").
  2: string role
  // The largest of its shards.
  3: i64 term
  4: string leader_id
  // Sums over its shards.
  5: i64 committed_index
  6: i64 applied_index
  // The addresses of the other nodes.
  7: list<string> peers
  8: string cluster_id
  9: string version
  10: i64 uptime_ms
  11: list<ShardStatus> shards
  14: string address
}

// A user with a password, or a token.
struct Credentials {
  1: optional string user
  2: optional string password
  3: optional string token
}

service KVStore {
  // Says who asks, for the rest of the connection. Who was logged in before stays so when it is refused.
  void auth(1: Credentials credentials) throws (
    1: InvalidArgument invalid_argument
    5: Unavailable unavailable
    8: ResourceExhausted resource_exhausted
    15: Stopping stopping
    16: InternalError internal_error
    20: Unauthenticated unauthenticated)

  // Reads one key, now or as of a version or a time.
  GetResult get(1: GetRequest request) throws (
    1: InvalidArgument invalid_argument
    2: TooLarge too_large
    3: HistoryGone history_gone
    4: NotLeader not_leader
    5: Unavailable unavailable
    7: DeadlineExceeded deadline_exceeded
    8: ResourceExhausted resource_exhausted
    10: Corruption corruption
    11: UnsupportedFormat unsupported_format
    15: Stopping stopping
    16: InternalError internal_error
    20: Unauthenticated unauthenticated
    21: PermissionDenied permission_denied)

  // Writes one key, if its condition holds.
  PutResult put(1: PutRequest request) throws (
    1: InvalidArgument invalid_argument
    2: TooLarge too_large
    4: NotLeader not_leader
    5: Unavailable unavailable
    6: UnknownOutcome unknown_outcome
    7: DeadlineExceeded deadline_exceeded
    8: ResourceExhausted resource_exhausted
    10: Corruption corruption
    11: UnsupportedFormat unsupported_format
    15: Stopping stopping
    16: InternalError internal_error
    18: DiskFull disk_full
    19: WrongType wrong_type
    20: Unauthenticated unauthenticated
    21: PermissionDenied permission_denied)

  // Deletes one key, if its condition holds.
  DeleteResult remove(1: DeleteRequest request) throws (
    1: InvalidArgument invalid_argument
    2: TooLarge too_large
    4: NotLeader not_leader
    5: Unavailable unavailable
    6: UnknownOutcome unknown_outcome
    7: DeadlineExceeded deadline_exceeded
    8: ResourceExhausted resource_exhausted
    10: Corruption corruption
    11: UnsupportedFormat unsupported_format
    15: Stopping stopping
    16: InternalError internal_error
    18: DiskFull disk_full
    19: WrongType wrong_type
    20: Unauthenticated unauthenticated
    21: PermissionDenied permission_denied)

  // Reads a page of a range, as of one version over all shards.
  ScanPage scan(1: ScanRequest request) throws (
    1: InvalidArgument invalid_argument
    2: TooLarge too_large
    3: HistoryGone history_gone
    4: NotLeader not_leader
    5: Unavailable unavailable
    7: DeadlineExceeded deadline_exceeded
    8: ResourceExhausted resource_exhausted
    10: Corruption corruption
    11: UnsupportedFormat unsupported_format
    15: Stopping stopping
    16: InternalError internal_error
    20: Unauthenticated unauthenticated
    21: PermissionDenied permission_denied)

  // Reads several keys, on any shards. Each is read by itself; the results are in the order of the keys. Together they have
  // at most as many bytes as the node lets a command have: over it, TooLarge.
  list<GetResult> multiGet(1: MultiGetRequest request) throws (
    1: InvalidArgument invalid_argument
    2: TooLarge too_large
    3: HistoryGone history_gone
    4: NotLeader not_leader
    5: Unavailable unavailable
    7: DeadlineExceeded deadline_exceeded
    8: ResourceExhausted resource_exhausted
    10: Corruption corruption
    11: UnsupportedFormat unsupported_format
    15: Stopping stopping
    16: InternalError internal_error
    20: Unauthenticated unauthenticated
    21: PermissionDenied permission_denied)

  // Writes several keys, on any shards. Each put takes effect by itself or not, and has an outcome of its own, in the order
  // of the requests. An exception means that nothing was written. For all or nothing, see txn.
  list<PutOutcome> multiPut(1: list<PutRequest> requests) throws (
    1: InvalidArgument invalid_argument
    2: TooLarge too_large
    4: NotLeader not_leader
    5: Unavailable unavailable
    6: UnknownOutcome unknown_outcome
    7: DeadlineExceeded deadline_exceeded
    8: ResourceExhausted resource_exhausted
    10: Corruption corruption
    11: UnsupportedFormat unsupported_format
    15: Stopping stopping
    16: InternalError internal_error
    18: DiskFull disk_full
    19: WrongType wrong_type
    20: Unauthenticated unauthenticated
    21: PermissionDenied permission_denied)

  // Compares, then does the one list of operations or the other, atomically, on keys of one shard.
  TxnResult txn(1: TxnRequest request) throws (
    1: InvalidArgument invalid_argument
    2: TooLarge too_large
    4: NotLeader not_leader
    5: Unavailable unavailable
    6: UnknownOutcome unknown_outcome
    7: DeadlineExceeded deadline_exceeded
    8: ResourceExhausted resource_exhausted
    9: CrossShard cross_shard
    10: Corruption corruption
    11: UnsupportedFormat unsupported_format
    15: Stopping stopping
    16: InternalError internal_error
    18: DiskFull disk_full
    19: WrongType wrong_type
    20: Unauthenticated unauthenticated
    21: PermissionDenied permission_denied)

  // Tells the state of the node that is asked.
  NodeStatus status() throws (
    5: Unavailable unavailable
    15: Stopping stopping
    16: InternalError internal_error
    20: Unauthenticated unauthenticated
    21: PermissionDenied permission_denied)
}

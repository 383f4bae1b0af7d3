#!/usr/bin/env bash
# Uses the real binary as a user would: three nodes, the tour of the README by every door, a node killed with -9, a restart of all. Prints a line for
# each check and ends with "N passed, N failed". Needs redis-tools and curl, which it installs where they are missing.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
passed=0
failed=0
work=$(mktemp -d)
dev=

cleanup() {
  [ -n "$dev" ] && kill -TERM "$dev" 2>/dev/null && wait "$dev" 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

# check NAME EXPECTED COMMAND...: the output must contain what is expected (a fixed text).
check() {
  local name=$1 expected=$2 output
  shift 2
  output=$("$@" 2>&1 </dev/null)
  if grep -qF -- "$expected" <<<"$output"; then
    passed=$((passed + 1))
    echo "ok    $name"
  else
    failed=$((failed + 1))
    echo "FAIL  $name: expected '$expected', got '$(head -c 500 <<<"$output")'"
  fi
}

# code NAME EXPECTED COMMAND...: the exit code must be this.
code() {
  local name=$1 expected=$2 got
  shift 2
  "$@" >"$work/out" 2>&1 </dev/null
  got=$?
  if [ "$got" -eq "$expected" ]; then
    passed=$((passed + 1))
    echo "ok    $name"
  else
    failed=$((failed + 1))
    echo "FAIL  $name: expected exit code $expected, got $got: $(head -c 500 "$work/out")"
  fi
}

if ! command -v redis-cli >/dev/null || ! command -v curl >/dev/null; then
  apt-get update -qq >/dev/null 2>&1
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-tools curl >/dev/null 2>&1
fi

port=$((20000 + RANDOM % 20000))
p1=$port p2=$((port + 1)) p3=$((port + 2))
start() {
  ./henge dev --port "$port" --data-dir "$work/data" "$@" >"$work/dev.log" 2>&1 &
  dev=$!
  for _ in $(seq 1 600); do
    grep -q 'is ready' "$work/dev.log" && return 0
    kill -0 "$dev" 2>/dev/null || break
    sleep 0.2
  done
  cat "$work/dev.log"
  return 1
}
export HENGE_PEERS="127.0.0.1:$p1,127.0.0.1:$p2,127.0.0.1:$p3"

code 'henge builds and shows its help' 0 ./henge --help
# With a linker on the machine there is a native command line; without one ./henge says so and goes on without it.
if command -v gcc >/dev/null || command -v clang >/dev/null; then
  code 'the command line for the data is a native program' 0 test -x artifacts/henge/native/henge
fi
if ! start; then
  echo "FAIL  three nodes do not start"
  echo "$passed passed, $((failed + 1)) failed"
  exit 1
fi

check 'put' 'OK (version: ' ./henge put user:1001 '{"name":"Alice"}'
check 'get' '{"name":"Alice"}' ./henge get user:1001
version=$(./henge get user:1001 --output json 2>/dev/null | grep -oE '"version":[0-9]+' | grep -oE '[0-9]+')
check 'overwrite' 'OK (version: ' ./henge put user:1001 '{"name":"Bob"}'
check 'get at a version' 'Alice' ./henge get user:1001 --version "$version"
check 'history shows both' 'Alice' ./henge history user:1001
check 'scan' 'user:1001 => {"name":"Bob"}' ./henge scan --prefix user:
code 'a key that is not there is exit code 1' 1 ./henge get nobody
check 'a key that is not there is (nil) on standard error, and nothing on standard output' '(nil)' bash -c './henge get nobody 2>&1 >/dev/null'
check 'a lock is taken once' 'OK (version: ' ./henge put lock me --if-version 0
code 'and not twice' 1 ./henge put lock you --if-version 0
check 'a transaction' 'me' ./henge txn --compare 'missing({job}:lock)' --then 'put {job}:lock me' --then 'get {job}:lock'
code 'keys of different shards are refused' 5 ./henge txn --compare 'missing(a)' --then 'put b 1' --then 'put c 1' --then 'put d 1' --then 'put e 1'
check 'status shows every node' 'node3' ./henge status
check 'delete' 'Deleted' ./henge delete user:1001
check 'delete again' 'Key not found' ./henge delete user:1001

check 'RESP on another node' 'OK' redis-cli -p "$p2" SET greeting hello
check 'REST on a third sees it' 'hello' curl -s "http://127.0.0.1:$p3/v1/kv/greeting"
check 'JSON lines' '{"Ok":"hello"}' bash -c "exec 3<>/dev/tcp/127.0.0.1/$p1; echo '{\"Get\":{\"key\":\"greeting\"}}' >&3; timeout 5 head -n 1 <&3"
check 'health' 'ok' curl -s "http://127.0.0.1:$p1/healthz"
metrics() { curl -s "http://127.0.0.1:$p2/metrics"; }
check 'metrics: RESP is measured' 'henge_server_operation_duration_seconds_count{henge_door="resp",henge_operation="set"} 1' metrics
check 'metrics: peers are connected' 'henge_peer_connected{henge_peer="node1"} 1' metrics
check 'metrics: the runtime is there' 'dotnet_gc_pause_time_seconds_total' metrics
code 'metrics: every line is a sample or a comment' 1 bash -c "curl -s http://127.0.0.1:$p2/metrics | grep -qvE '^(# (HELP|TYPE) [a-zA-Z_:][a-zA-Z0-9_:]* .+|[a-zA-Z_:][a-zA-Z0-9_:]*(\\{.*\\})? (NaN|[+-]?(Inf|[0-9.]+([eE][+-]?[0-9]+)?)))\$'"

code 'status of a whole cluster' 0 ./henge status
check 'status gives a verdict' 'Cluster: healthy | 3 of 3 nodes up' ./henge status
code 'henge alone is help' 0 ./henge
code 'henge version' 0 ./henge version
check 'an unknown command is told' "Did you mean 'henge get'?" ./henge gte
code 'a misspelt variable is refused' 2 env HENGE_PEER=x ./henge get user:1001
code 'a load test' 0 ./henge bench --operations 2000 --keys 500 --concurrency 8 --html "$work/bench.html" --output json
check 'reads of a load test find their keys' '"missing": 0,' cat "$work/out"
check 'its page says what it ran on' '<dt>machine</dt>' cat "$work/bench.html"
code 'a busy port is refused' 5 ./henge serve --node-id x --addr "127.0.0.1:$p1" --data-dir "$work/busy"
code 'and leaves no data directory' 1 test -e "$work/busy"

for i in $(seq 1 2000); do printf 'bulk:%05d\tvalue-%d\n' "$i" "$i"; done >"$work/bulk.tsv"
code 'import' 0 ./henge import "$work/bulk.tsv"
check 'count' '2000' ./henge scan --prefix bulk: --count
code 'export' 0 ./henge export --prefix bulk: "$work/bulk.jsonl"
check 'the export is whole' '2000' wc -l "$work/bulk.jsonl"

victim=$(grep -oE 'node1 .*pid [0-9]+' "$work/dev.log" | grep -oE '[0-9]+$')
kill -9 "$victim"
check 'a write after kill -9 of a node' 'OK (version: ' ./henge put after kill
check 'a read after kill -9 of a node' 'value-77' ./henge get bulk:00077
# Each shard that the killed node led has another leader a moment later.
for _ in $(seq 100); do
  ./henge status 2>/dev/null | grep -qF 'every shard has a leader' && break
  sleep 0.1
done
check 'status of two of three' 'Cluster: degraded | 2 of 3 nodes up (not node1)' ./henge status
check 'all there after kill -9' '2000' ./henge scan --prefix bulk: --count

kill -TERM "$dev"
wait "$dev"
dev=
lines=$(wc -l <"$work/data/node2.log")
start --log-format json
check 'all there after a restart of all' '2000' ./henge scan --prefix bulk: --count
check 'the last write too' 'kill' ./henge get after
kill -TERM "$dev"
wait "$dev"
stopped=$?
dev=
# What the nodes wrote since the restart: each line is an object, and the event of the end is there.
tail -n +"$((lines + 1))" "$work/data/node2.log" >"$work/events.jsonl"
check 'with --log-format json a node writes nothing but JSON, a line an event' 'all objects; the last is 1007' python3 -c '
import json, sys
events = [json.loads(line) for line in open(sys.argv[1])]
assert len(events) > 5 and all(e["Category"] and e["LogLevel"] and e["Message"] for e in events)
print("all objects; the last is", events[-1]["EventId"])' "$work/events.jsonl"
code 'the cluster stops cleanly' 0 test "$stopped" -eq 0
code 'nothing of it is left running' 1 pgrep -f "serve .*--addr 127.0.0.1:$p1"
code 'a stopped node verifies' 0 ./henge storage verify "$work/data/node2/engine"
check 'another number of nodes over the same data is refused' '--nodes 3' timeout 20 ./henge dev --nodes 5 --port "$port" --data-dir "$work/data"
code 'no node: exit code 3' 3 ./henge get user:1001

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

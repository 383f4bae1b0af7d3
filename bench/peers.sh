#!/usr/bin/env bash
# Runs Henge beside etcd and Redis on this machine, under the same load generators, and prints one table of figures and ratios.
#
#   bench/peers.sh [--quick] [DIRECTORY]      --quick: one round of two seconds a row (else three of ten); data goes below DIRECTORY (default: a temporary one)
#
# In turn, each alone on the machine: etcd (three nodes, Debian's), Redis in memory, Redis with appendfsync always, Garnet in memory and with its append-only file waited for (one node each), Kestrel without a store (bench/Henge.Stack,
# the bound of the stack that Henge stands on), Henge (three nodes by "henge dev",
# default settings: durable, linearizable). All on loopback and one disk, values of 64 bytes. Load by "henge bench" (etcd:// and grpc:// share one client stack), and by tools that know
# nothing of Henge: redis-benchmark, and h2load, which sends one gRPC frame again and again (one key; to the node that leads it, of either side). That h2load's calls were answered
# with OK is read from the servers' own counts of calls by status, before and after. The table shows medians of the rounds.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

seconds=10 rounds=3 keys=100000 warm_up=3s
if [ "${1:-}" = --quick ]; then
  seconds=2 rounds=1 keys=20000 warm_up=1s
  shift
fi
rounds=${ROUNDS:-$rounds}
seconds=${SECONDS_A_ROW:-$seconds}
base=${1:-}
[ -z "$base" ] || mkdir -p "$base"
work=$(mktemp -d ${base:+-p "$base"})
results=$work/results
: >"$results"
pids=()

stop() { # ends what runs now, and waits for it
  local pid
  for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null; done
  for pid in "${pids[@]}"; do
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null
    wait "$pid" 2>/dev/null
  done
  pids=()
}
cleanup() {
  stop
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { echo "$*" >&2; }
die() { say "$*"; exit 1; }
put() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$results"; say "    $2: $3"; } # put SYSTEM ROW FIGURE

need=()
command -v etcd >/dev/null && command -v etcdctl >/dev/null || need+=(etcd-server etcd-client)
command -v redis-server >/dev/null && command -v redis-benchmark >/dev/null || need+=(redis-server redis-tools)
command -v h2load >/dev/null || need+=(nghttp2-client)
command -v curl >/dev/null || need+=(curl)
command -v python3 >/dev/null || need+=(python3)
if [ ${#need[@]} -gt 0 ]; then
  say "Installing ${need[*]} (Debian) ..."
  # The packages would start servers of their own: a policy that says no keeps them from doing so.
  if [ ! -e /usr/sbin/policy-rc.d ]; then printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && policy=1; fi
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}"; } >"$work/apt.log" 2>&1 || { tail -n 5 "$work/apt.log" >&2; die "Some packages cannot be installed."; }
  [ -n "${policy:-}" ] && rm -f /usr/sbin/policy-rc.d
fi
./henge --version >/dev/null || die "Henge does not build."
dotnet build bench/Henge.Stack -c Release -v quiet -nologo >"$work/build.log" 2>&1 || { tail -n 5 "$work/build.log" >&2; die "bench/Henge.Stack does not build."; }
export ETCDCTL_API=3
# As .config/dotnet-tools.json has it; where it cannot be restored its rows are left out.
garnet=
if dotnet tool restore >"$work/tools.log" 2>&1; then garnet=1; else say "Garnet cannot be restored: $(tail -n 1 "$work/tools.log")"; fi

# Below the ports that the system gives to outgoing connections, and none of them in use.
for _ in $(seq 100); do
  port=$((20000 + RANDOM % 12000))
  python3 -c '
import socket, sys
for p in [*range(1, 4), *range(11, 14), 20, 30, 31, 32]:
    with socket.socket() as s:
        s.bind(("127.0.0.1", int(sys.argv[1]) + p))' "$port" 2>/dev/null && break
done
wait_for() { # wait_for NAME COMMAND...: until it succeeds; no load generator is begun before
  local name=$1 until=$((SECONDS + 60)) pid
  shift
  while [ $SECONDS -lt $until ]; do
    timeout 5 "$@" >/dev/null 2>&1 && return 0
    for pid in "${pids[@]}"; do kill -0 "$pid" 2>/dev/null || until=0; done
    sleep 0.1
  done
  tail -n 5 "$work"/*.log >&2
  die "$name did not become ready within 60 s, or ended."
}

frame() { # frame FILE MESSAGE: a gRPC frame around a message given in hexadecimal digits
  python3 -c 'import sys, struct; m = bytes.fromhex(sys.argv[2]); open(sys.argv[1], "wb").write(b"\0" + struct.pack(">I", len(m)) + m)' "$1" "$2"
}
hex() { printf '%s' "$1" | od -An -tx1 | tr -d ' \n'; }
key_value() { # fields 1 (key) and 2 (a value of 64 bytes) of a Put, and field 1 of a Get or Range, are the same in both APIs
  printf '0a%02x%s1240%s' ${#1} "$(hex "$1")" "$(printf 'ab%.0s' $(seq 64))"
}

# ---- load generators -------------------------------------------------------------------------------------------------------------------------------------

bench() { # bench SYSTEM ROW FIELD ARGUMENTS...: one figure of "henge bench"
  local system=$1 row=$2 field=$3 figure
  shift 3
  # Rows follow each other on the same keys: only those that say so write them first.
  [[ " $* " == *" --preload "* ]] || set -- "$@" --preload false
  # The generator only, the same for all sides: without profiling it is compiled for speed within its warm-up.
  DOTNET_TieredPGO=0 timeout $((seconds * 3 + 120)) ./henge bench --output json --warm-up "$warm_up" --duration "${seconds}s" --value-size 64 --keys "$keys" "$@" >"$work/bench.json" 2>"$work/bench.err"
  figure=$(python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
if r["errors"] > r["operations"] / 1000:
    sys.exit("%d errors: %s" % (r["errors"], r.get("errorMessages")))
v = r
for name in sys.argv[2].split("."):
    v = v[name]
print(v)' "$work/bench.json" "$field" 2>"$work/json.err") || { say "    $row: no figure: $(tail -n 1 "$work/json.err") $(tail -n 1 "$work/bench.err")"; return 1; }
  put "$system" "$row" "$figure"
}

redis_bench() { # redis_bench SYSTEM ROW PORT set|get PIPELINE: as many requests as take the time of a row, which a short run before finds out and warms up
  local system=$1 row=$2 port=$3 rate
  rate=$(redis_run "$port" "$4" "$5" 100000)
  [ -n "$rate" ] || { say "    $row: redis-benchmark gave no figure"; return 1; }
  rate=$(redis_run "$port" "$4" "$5" $((${rate%.*} * seconds + 1000)))
  [ -n "$rate" ] || { say "    $row: redis-benchmark gave no figure"; return 1; }
  put "$system" "$row" "$rate"
}
redis_run() { # PORT TEST PIPELINE REQUESTS
  # It spins for ever when it is refused, and counts error replies as answers unless told otherwise (-e shows them).
  timeout $((seconds * 4 + 60)) redis-benchmark -h 127.0.0.1 -p "$1" -t "$2" -P "$3" -n "$4" -c 64 -d 64 -r "$keys" -e --csv 2>"$work/redis-benchmark.err" >"$work/redis-benchmark.out"
  if grep -q '^Error' "$work/redis-benchmark.out" "$work/redis-benchmark.err"; then
    say "    redis-benchmark: $(grep -h -m 1 '^Error' "$work/redis-benchmark.out" "$work/redis-benchmark.err")"
    return 1
  fi
  awk -F'"' '$2 == "SET" || $2 == "GET" { rate = $4 } END { if (rate) print rate }' "$work/redis-benchmark.out"
}

h2load_bench() { # h2load_bench SYSTEM ROW ADDRESS PATH BODY STREAMS COUNT: 16 connections; COUNT is a command that prints "OK-CALLS OTHER-CALLS" as the servers count them
  local system=$1 row=$2 address=$3 path=$4 body=$5 streams=$6 count=$7 before after rate done_
  before=$($count)
  timeout $((seconds + 40)) h2load -c16 -m"$streams" --warm-up-time=1 -D "$seconds" -d "$body" -H 'content-type: application/grpc' -H 'te: trailers' "http://$address$path" >"$work/h2load.out" 2>&1
  after=$($count)
  rate=$(awk '/^finished in/ { print $4 }' "$work/h2load.out")
  done_=$(awk '/^requests:/ { print $8 }' "$work/h2load.out")
  read -r ok_before bad_before <<<"$before"
  read -r ok_after bad_after <<<"$after"
  # At its end h2load leaves behind what is outstanding; servers count that as failed (etcd: Unknown, Henge: Cancelled).
  if [ -z "$rate" ] || [ "$((ok_after - ok_before))" -lt "${done_:-1}" ] || [ "$((bad_after - bad_before))" -gt $((16 * streams)) ]; then
    say "    $row: not all calls were answered with OK: h2load ${done_:-?} done, servers $((ok_after - ok_before)) OK, $((bad_after - bad_before)) not"
    return 1
  fi
  put "$system" "$row" "$rate"
}

grpc_loads() { # grpc_loads SYSTEM TARGET: the rows that both kinds of cluster have
  local system=$1 target=$2
  bench "$system" 'put, 64 outstanding' operationsPerSecond --target "$target" --read-ratio 0 --concurrency 64 --preload true
  bench "$system" 'get, 64 outstanding' operationsPerSecond --target "$target" --read-ratio 1 --concurrency 64
  bench "$system" 'put, 1,024 outstanding' operationsPerSecond --target "$target" --read-ratio 0 --concurrency 1024
  bench "$system" 'get, 1,024 outstanding' operationsPerSecond --target "$target" --read-ratio 1 --concurrency 1024
  bench "$system" 'put, 1 outstanding, p50 ms' writes.p50Ms --target "$target" --read-ratio 0 --concurrency 1
}

# ---- systems ---------------------------------------------------------------------------------------------------------------------------------------------

etcd_calls() { # calls by status, over all nodes
  local i
  for i in 1 2 3; do curl -sf -m 5 "http://127.0.0.1:$((port + i))/metrics"; done |
    awk '/^grpc_server_handled_total/ && /grpc_service="etcdserverpb.KV"/ { if (/grpc_code="OK"/) ok += $2; else bad += $2 } END { printf "%d %d\n", ok, bad }'
}

run_etcd() {
  local i name cluster='' leader body
  for i in 1 2 3; do cluster+="${cluster:+,}e$i=http://127.0.0.1:$((port + 10 + i))"; done
  for i in 1 2 3; do
    etcd --name "e$i" --data-dir "$work/etcd-$i" --listen-client-urls "http://127.0.0.1:$((port + i))" --advertise-client-urls "http://127.0.0.1:$((port + i))" \
      --listen-peer-urls "http://127.0.0.1:$((port + 10 + i))" --initial-advertise-peer-urls "http://127.0.0.1:$((port + 10 + i))" \
      --initial-cluster "$cluster" --initial-cluster-state new --quota-backend-bytes 8000000000 --log-level error >"$work/etcd-$i.log" 2>&1 &
    pids+=($!)
  done
  local endpoints="127.0.0.1:$((port + 1)),127.0.0.1:$((port + 2)),127.0.0.1:$((port + 3))"
  wait_for etcd etcdctl --endpoints "$endpoints" endpoint health
  grpc_loads etcd "etcd://$endpoints"
  leader=$(etcdctl --endpoints "$endpoints" endpoint status | awk -F', ' '$5 == "true" { print $1 }')
  frame "$work/put" "$(key_value hot)"
  frame "$work/get" "0a03$(hex hot)"
  h2load_bench etcd 'h2load: put, 64 outstanding' "$leader" /etcdserverpb.KV/Put "$work/put" 4 etcd_calls
  h2load_bench etcd 'h2load: get, 64 outstanding' "$leader" /etcdserverpb.KV/Range "$work/get" 4 etcd_calls
  h2load_bench etcd 'h2load: put, 1,024 outstanding' "$leader" /etcdserverpb.KV/Put "$work/put" 64 etcd_calls
  h2load_bench etcd 'h2load: get, 1,024 outstanding' "$leader" /etcdserverpb.KV/Range "$work/get" 64 etcd_calls
  stop
  rm -rf "$work"/etcd-?
}

run_redis() { # run_redis SYSTEM OPTIONS...
  local system=$1
  shift
  mkdir -p "$work/redis"
  redis-server --port "$((port + 20))" --bind 127.0.0.1 --save '' --dir "$work/redis" --loglevel warning "$@" >"$work/redis.log" 2>&1 &
  pids+=($!)
  wait_for Redis redis-cli -p "$((port + 20))" PING
  redis_bench "$system" 'RESP SET, 64 x 16' "$((port + 20))" set 16
  if [ "$system" = redis ]; then
    redis_bench "$system" 'RESP GET, 64 x 16' "$((port + 20))" get 16
    redis_bench "$system" 'RESP GET, 64 x 64' "$((port + 20))" get 64
    bench "$system" 'RESP SET, 64 x 16, henge bench' operationsPerSecond --target "redis://127.0.0.1:$((port + 20))" --read-ratio 0 --concurrency 64 --pipeline 16
    bench "$system" 'RESP GET, 64 x 16, henge bench' operationsPerSecond --target "redis://127.0.0.1:$((port + 20))" --read-ratio 1 --concurrency 64 --pipeline 16
  fi
  stop
  rm -rf "$work/redis"
}

stack_calls() { echo "$(curl -sf -m 5 --http2-prior-knowledge "http://127.0.0.1:$((port + 21))/calls") 0"; }

run_garnet() { # run_garnet SYSTEM OPTIONS...: the log is waited for before a write is answered where the options say so
  local system=$1
  shift
  # Its own Linux device wants more of the kernel's asynchronous I/O than containers have; RandomAccess is .NET's.
  dotnet garnet-server --port "$((port + 20))" --bind 127.0.0.1 --memory 1g --index 256m --device-type RandomAccess --checkpointdir "$work/garnet" "$@" >"$work/garnet.log" 2>&1 &
  pids+=($!)
  wait_for Garnet redis-cli -p "$((port + 20))" PING
  redis_bench "$system" 'RESP SET, 64 x 16' "$((port + 20))" set 16
  if [ "$system" = garnet ]; then
    redis_bench "$system" 'RESP GET, 64 x 16' "$((port + 20))" get 16
  fi
  stop
  rm -rf "$work/garnet"
}

run_stack() {
  bench/Henge.Stack/bin/Release/net10.0/Henge.Stack "$((port + 20))" >"$work/stack.log" 2>&1 &
  pids+=($!)
  wait_for Kestrel grep -q ready "$work/stack.log"
  redis_bench stack 'RESP GET, 64 x 16' "$((port + 20))" get 16
  redis_bench stack 'RESP GET, 64 x 64' "$((port + 20))" get 64
  frame "$work/get" "0a03$(hex hot)"
  h2load_bench stack 'h2load: get, 1,024 outstanding' "127.0.0.1:$((port + 21))" /henge.v1.KVStore/Get "$work/get" 64 stack_calls
  stop
}

henge_metrics() { local i; for i in 30 31 32; do curl -sf -m 5 "http://127.0.0.1:$((port + i))/metrics"; done; }
henge_calls() { henge_metrics | awk '/^rpc_server_call_duration_seconds_count/ && /KVStore\/(Put|Get)"/ { ok += $2 } /^henge_server_errors_total/ { bad += $2 } END { printf "%d %d\n", ok - bad, bad }'; }
henge_pause() { henge_metrics | awk '/^henge_gc_pause_longest_seconds/ && $2 > max { max = $2 } END { printf "%.2f\n", max * 1000 }'; }
henge_memory() { local pid sum=0 rss; for pid in $(grep -oE 'pid [0-9]+' "$work/henge.log" | cut -d' ' -f2); do rss=$(ps -o rss= -p "$pid"); sum=$((sum + ${rss:-0})); done; echo $((sum / 1024)); }

settle() { # until nothing is flushed or compacted any more: a row at full load leaves work behind that is not the next row's
  local before=-1 now=0
  for _ in $(seq 60); do
    now=$(henge_metrics | awk '/^henge_engine_io_written/ { sum += $2 } END { printf "%d", sum }')
    [ "$now" != "$before" ] || return 0
    before=$now
    sleep 1
  done
}

hot_key() { # a key that node1 leads, so that h2load has it from its leader as it has etcd's: leader_only (field 7 of a Put) is refused by the others
  local i
  for i in $(seq 1 40); do
    frame "$work/try" "$(key_value "hot$i")3801"
    if curl -s -m 5 --http2-prior-knowledge -o /dev/null -D - -H 'content-type: application/grpc' -H 'te: trailers' --data-binary @"$work/try" "http://127.0.0.1:$((port + 30))/henge.v1.KVStore/Put" |
      tr -d '\r' | grep -q '^grpc-status: 0$'; then
      echo "hot$i"
      return 0
    fi
  done
  return 1
}

run_henge() {
  local peers="127.0.0.1:$((port + 30)),127.0.0.1:$((port + 31)),127.0.0.1:$((port + 32))" hot rate
  ./henge dev --port "$((port + 30))" --data-dir "$work/henge" >"$work/henge.log" 2>&1 &
  pids+=($!)
  wait_for Henge grep -q 'is ready' "$work/henge.log"
  wait_for Henge curl -sf "http://127.0.0.1:$((port + 30))/readyz"
  grpc_loads henge "grpc://$peers"
  if hot=$(hot_key); then
    frame "$work/put" "$(key_value "$hot")"
    frame "$work/get" "0a$(printf %02x ${#hot})$(hex "$hot")"
    h2load_bench henge 'h2load: put, 64 outstanding' "127.0.0.1:$((port + 30))" /henge.v1.KVStore/Put "$work/put" 4 henge_calls
    h2load_bench henge 'h2load: get, 64 outstanding' "127.0.0.1:$((port + 30))" /henge.v1.KVStore/Get "$work/get" 4 henge_calls
    h2load_bench henge 'h2load: put, 1,024 outstanding' "127.0.0.1:$((port + 30))" /henge.v1.KVStore/Put "$work/put" 64 henge_calls
    h2load_bench henge 'h2load: get, 1,024 outstanding' "127.0.0.1:$((port + 30))" /henge.v1.KVStore/Get "$work/get" 64 henge_calls
  else
    say "    no key was found that node1 leads"
  fi
  settle
  redis_bench henge 'RESP SET, 64 x 16' "$((port + 30))" set 16
  redis_bench henge 'RESP GET, 64 x 16' "$((port + 30))" get 16
  redis_bench henge 'RESP GET, 64 x 64' "$((port + 30))" get 64
  bench henge 'RESP SET, 64 x 16, henge bench' operationsPerSecond --target "redis://$peers" --read-ratio 0 --concurrency 64 --pipeline 16
  bench henge 'RESP GET, 64 x 16, henge bench' operationsPerSecond --target "redis://$peers" --read-ratio 1 --concurrency 64 --pipeline 16
  settle
  bench henge 'sessions, put, 64 callers' operationsPerSecond --target "henge://$peers" --read-ratio 0 --concurrency 64
  bench henge 'sessions, get, 64 callers' operationsPerSecond --target "henge://$peers" --read-ratio 1 --concurrency 64
  bench henge 'sessions, get, 1,024 callers' operationsPerSecond --target "henge://$peers" --read-ratio 1 --concurrency 1024
  if bench henge 'sessions, put, 1,024 callers' operationsPerSecond --target "henge://$peers" --read-ratio 0 --concurrency 1024; then
    rate=$(awk -F'\t' '$1 == "henge" && $2 == "sessions, put, 1,024 callers" { rate = $3 } END { printf "%d", rate / 2 }' "$results")
    settle
    bench henge 'put at half of the peak, p50 ms' writes.p50Ms --target "henge://$peers" --read-ratio 0 --concurrency 1024 --rate "$rate"
    put henge 'put at half of the peak, p99 ms' "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["writes"]["p99Ms"])' "$work/bench.json")"
  fi
  put henge 'longest GC pause of a node, ms' "$(henge_pause)"
  put henge 'memory of the three nodes, MiB' "$(henge_memory)"
  stop
  rm -rf "$work/henge"
}

for round in $(seq "$rounds"); do
  say "Round $round of $rounds"
  say "  etcd, three nodes"
  run_etcd
  say "  Redis in memory"
  run_redis redis --appendonly no
  say "  Redis, appendfsync always"
  run_redis redis-always --appendonly yes --appendfsync always
  if [ -n "$garnet" ]; then
    say "  Garnet in memory"
    run_garnet garnet
    say "  Garnet, its append-only file waited for"
    run_garnet garnet-wait --aof --aof-commit-wait
  fi
  say "  Kestrel without a store"
  run_stack
  say "  Henge, three nodes"
  run_henge
done

python3 - "$results" <<'PYTHON'
import statistics, sys
figures = {}
for line in open(sys.argv[1]):
    system, row, figure = line.rstrip("\n").split("\t")
    figures.setdefault((system, row), []).append(float(figure))
median = {k: statistics.median(v) for k, v in figures.items()}
puts = [v for (system, row), v in median.items() if system == "etcd" and "put" in row and "ms" not in row]
if puts:
    median["etcd", "best put"] = max(puts)
rows = [
    # row shown, (peer, its row), Henge's row, goal of the ratio or of Henge's figure
    ("unary gRPC put, 64 outstanding, h2load", ("etcd", "h2load: put, 64 outstanding"), "h2load: put, 64 outstanding", ">= 3x", 3),
    ("  the same by henge bench", ("etcd", "put, 64 outstanding"), "put, 64 outstanding", ">= 3x", 3),
    ("unary gRPC linearizable get, 64 outstanding, h2load", ("etcd", "h2load: get, 64 outstanding"), "h2load: get, 64 outstanding", ">= 4x", 4),
    ("  the same by henge bench", ("etcd", "get, 64 outstanding"), "get, 64 outstanding", ">= 4x", 4),
    ("unary gRPC put, 1,024 outstanding, h2load", ("etcd", "h2load: put, 1,024 outstanding"), "h2load: put, 1,024 outstanding", "", None),
    ("  the same by henge bench", ("etcd", "put, 1,024 outstanding"), "put, 1,024 outstanding", "", None),
    ("unary gRPC linearizable get, 1,024 outstanding, h2load", ("etcd", "h2load: get, 1,024 outstanding"), "h2load: get, 1,024 outstanding", ">= 10x", 10),
    ("  the same beside one value on Grpc.AspNetCore", ("stack", "h2load: get, 1,024 outstanding"), "h2load: get, 1,024 outstanding", ">= 0.8x", 0.8),
    ("  the same by henge bench", ("etcd", "get, 1,024 outstanding"), "get, 1,024 outstanding", ">= 10x", 10),
    ("one outstanding put, p50 ms", ("etcd", "put, 1 outstanding, p50 ms"), "put, 1 outstanding, p50 ms", "<= 1x", -1),
    ("RESP SET, 64 clients x 16, beside etcd's best put", ("etcd", "best put"), "RESP SET, 64 x 16", ">= 8x", 8),
    ("RESP SET, 64 x 16, beside Redis appendfsync always", ("redis-always", "RESP SET, 64 x 16"), "RESP SET, 64 x 16", ">= 0.5x", 0.5),
    ("RESP SET, 64 x 16, beside Garnet that waits for its file", ("garnet-wait", "RESP SET, 64 x 16"), "RESP SET, 64 x 16", "", None),
    ("RESP SET, 64 x 16, beside Garnet in memory", ("garnet", "RESP SET, 64 x 16"), "RESP SET, 64 x 16", "", None),
    ("RESP GET, 64 x 16, linearizable, beside Garnet in memory", ("garnet", "RESP GET, 64 x 16"), "RESP GET, 64 x 16", "", None),
    ("RESP SET, 64 x 16, beside Redis in memory", ("redis", "RESP SET, 64 x 16"), "RESP SET, 64 x 16", "", None),
    ("  the same by henge bench", ("redis", "RESP SET, 64 x 16, henge bench"), "RESP SET, 64 x 16, henge bench", "", None),
    ("RESP GET, 64 x 16, linearizable, beside Redis in memory", ("redis", "RESP GET, 64 x 16"), "RESP GET, 64 x 16", ">= 0.8x", 0.8),
    ("  the same by henge bench", ("redis", "RESP GET, 64 x 16, henge bench"), "RESP GET, 64 x 16, henge bench", "", None),
    ("  the same beside Kestrel without a store", ("stack", "RESP GET, 64 x 16"), "RESP GET, 64 x 16", "", None),
    ("RESP GET, 64 x 64", ("redis", "RESP GET, 64 x 64"), "RESP GET, 64 x 64", "840,000/s", 840_000.0),
    ("SDK sessions, put, 64 callers", None, "sessions, put, 64 callers", "210,000/s", 210_000.0),
    ("SDK sessions, put, 1,024 callers", None, "sessions, put, 1,024 callers", "210,000/s", 210_000.0),
    ("SDK sessions, get, 64 callers", None, "sessions, get, 64 callers", "840,000/s", 840_000.0),
    ("SDK sessions, get, 1,024 callers", None, "sessions, get, 1,024 callers", "840,000/s", 840_000.0),
    ("longest GC pause of a node since its start, ms", None, "longest GC pause of a node, ms", "<= 10 ms", -10.0),
    ("put at half of the peak load (sessions), p50 ms", None, "put at half of the peak, p50 ms", "", None),
    ("put at half of the peak load (sessions), p99 ms", None, "put at half of the peak, p99 ms", "<= 10 ms", -10.0),
    ("memory of the three nodes after all this, MiB", None, "memory of the three nodes, MiB", "", None),
]

def show(v):
    return "-" if v is None else f"{v:,.0f}" if v >= 100 else f"{v:.2f}"

print(f"{'row':56} {'peer':>12} {'peer figure':>12} {'Henge':>12} {'ratio':>7}  {'goal':10} met")
for name, peer, row, goal, bound in rows:
    theirs = median.get(peer) if peer else None
    ours = median.get(("henge", row))
    ratio = ours / theirs if ours is not None and theirs else None
    judged = ours if peer is None or (isinstance(bound, float) and abs(bound) > 1000) else ratio
    met = "" if bound is None or judged is None else "yes" if (judged >= bound if bound > 0 else judged <= -bound) else "no"
    print(f"{name:56} {peer[0] if peer else '-':>12} {show(theirs):>12} {show(ours):>12} {show(ratio) + 'x' if ratio else '-':>7}  {goal:10} {met}")
# Garnet is a guest: without it the table is whole as well.
missing = sum(1 for _, peer, row, _, _ in rows if ("henge", row) not in median or (peer and peer not in median and not peer[0].startswith("garnet")))
sys.exit(1 if missing else 0)
PYTHON

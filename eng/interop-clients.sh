#!/usr/bin/env bash
# Uses redis-py (Debian's python3-redis) and ioredis (from npm) in their stand-alone mode against five real nodes that have three replicas of each shard, so that no node
# has them all: every node answers for every key, and with several endpoints the client goes on when the node that it uses is killed.
# Prints a line for each check and ends with "N passed, N failed"; exits non-zero when anything failed, also when a client cannot be had.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

. eng/interop/checks.sh
nodes=()
ports=()

cleanup() {
  for pid in "${nodes[@]}"; do kill -9 "$pid" && wait "$pid"; done 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

./henge --version >"$work/build.log" 2>&1 # builds it, so that what follows is not waiting for that
cluster=
for i in 1 2 3 4 5; do
  ports+=("$(free_port)")
  cluster+="${cluster:+,}node$i=127.0.0.1:${ports[-1]}"
done

start() { # start N: the N-th node.
  ./henge serve --node-id "node$1" --addr "127.0.0.1:${ports[$1 - 1]}" --data-dir "$work/data-$1" --cluster "$cluster" \
    --replication-factor 3 --memory 64MiB >>"$work/node$1.log" 2>&1 &
  nodes[$1 - 1]=$!
}

ready() { # ready N...: these nodes serve, or one has ended.
  local n
  for n in "$@"; do is_ready "127.0.0.1:${ports[n - 1]}" "${nodes[n - 1]}" || return 1; done
}

for i in 1 2 3 4 5; do start "$i"; done
ready 1 2 3 4 5
code=$?
check 'five nodes become ready' $code "$(last_of 2 "$work"/node*.log)"
[ $code -eq 0 ] || finish
hosted=$(./henge cluster nodes --peers "127.0.0.1:${ports[0]}" --output json | "$python" -c '
import json, sys
nodes = json.load(sys.stdin)["nodes"]
print(" ".join(str(n["planned_shards"]) for n in nodes))')
[[ $hosted =~ ^[0-9]+( [0-9]+){4}$ && ! " $hosted " == *" 16 "* ]]
check 'no node has every shard' $? "$hosted"

# use NAME COMMAND...: runs a client that says which node to kill; that one is started again when the client has ended.
use() {
  local name=$1 line killed=0 code=1
  shift
  coproc CLIENT { timeout 150 "$@" 2>"$work/client.err"; }
  local pid=$CLIENT_PID out=${CLIENT[0]} in=${CLIENT[1]}
  exec {from}<&"$out" {to}>&"$in"
  while read -r line <&$from; do
    if [[ $line == kill\ [1-5] ]]; then
      killed=${line#kill }
      kill -9 "${nodes[killed - 1]}" && wait "${nodes[killed - 1]}" 2>/dev/null
      echo killed >&$to
    else
      echo "$line" | tee -a "$results"
    fi
  done
  exec {from}<&- {to}>&-
  wait "$pid" && code=0
  check "$name came to its end, and a node was killed meanwhile" $((code || killed == 0)) "$(last_of 4 "$work/client.err")"
  if [ "$killed" -ne 0 ]; then start "$killed"; ready 1 2 3 4 5; check 'the node that was killed is back' $?; fi
}

if ! "$python" -c 'import redis' >/dev/null 2>&1; then
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends python3-redis; } >"$work/apt.log" 2>&1
fi
"$python" -c 'import redis' 2>"$work/python.log"
code=$?
check 'python3-redis is there' $code "$(last_of 1 "$work/python.log")"
[ $code -eq 0 ] && use redis-py "$python" -u eng/interop/several.py "${ports[@]}"

if with_npm several.js ioredis@5; then use ioredis node "$work/node/several.js" "${ports[@]}"; fi

finish

#!/usr/bin/env bash
# Watches keys of a real node over server-sent events with a stock EventSource (npm's eventsource), through a proxy that cuts its connections.
# Prints a line for each check and ends with "N passed, N failed"; exits non-zero when anything failed.
# HENGE_INTEROP_ADDR=HOST:PORT uses a node that runs already.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

work=$(mktemp -d)
results=$work/results
server=
: >"$results"

cleanup() {
  [ -n "$server" ] && kill -9 "$server" && wait "$server"
  rm -rf "$work"
} 2>/dev/null
trap cleanup EXIT

check() { # check NAME CODE [DETAIL]
  if [ "$2" -eq 0 ]; then echo "ok    $1"; else echo "FAIL  $1  ${3:-}"; fi | tee -a "$results"
}

finish() {
  local passed failed
  passed=$(grep -c '^ok ' "$results")
  failed=$(grep -c '^FAIL ' "$results")
  echo
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit
}

if [ -n "${HENGE_INTEROP_ADDR:-}" ]; then
  addr=$HENGE_INTEROP_ADDR
else
  addr=127.0.0.1:$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  ./henge --version >"$work/build.log" 2>&1 # builds it, so that what follows is not waiting for that
  ./henge serve --node-id node1 --addr "$addr" --data-dir "$work/data" >"$work/server.log" 2>&1 &
  server=$!
  for _ in $(seq 300); do
    curl -sf -m 2 "http://$addr/readyz" >/dev/null && break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  curl -sf -m 2 "http://$addr/readyz" >/dev/null
  code=$?
  check 'henge serve becomes ready' $code "$(tail -n 3 "$work/server.log" | tr '\n' ' ')"
  [ $code -eq 0 ] || finish
fi

command -v npm >/dev/null
check 'npm is there' $? || finish
mkdir -p "$work/node"
cp eng/interop/sse.js "$work/node/"
(cd "$work/node" && npm init -y && npm install --no-audit --no-fund eventsource@4) >"$work/npm.log" 2>&1
code=$?
check 'eventsource is there' $code "$(tail -n 1 "$work/npm.log")"
if [ $code -eq 0 ]; then
  timeout 200 node "$work/node/sse.js" "$addr" 2>"$work/node.log" | tee -a "$results"
  check 'the client came to its end' "${PIPESTATUS[0]}" "$(tail -n 3 "$work/node.log" | tr '\n' ' ')"
fi

finish

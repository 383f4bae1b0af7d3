#!/usr/bin/env bash
# Watches keys of a real node over server-sent events with a stock EventSource (npm's eventsource), through a proxy that cuts its connections.
# Prints a line for each check and ends with "N passed, N failed"; exits non-zero when anything failed.
# HENGE_INTEROP_ADDR=HOST:PORT uses a node that runs already.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

. eng/interop/checks.sh
server=

cleanup() {
  [ -n "$server" ] && kill -9 "$server" && wait "$server"
  rm -rf "$work"
} 2>/dev/null
trap cleanup EXIT

if [ -n "${HENGE_INTEROP_ADDR:-}" ]; then
  addr=$HENGE_INTEROP_ADDR
else
  addr=127.0.0.1:$(free_port)
  ./henge --version >"$work/build.log" 2>&1 # builds it, so that what follows is not waiting for that
  ./henge serve --node-id node1 --addr "$addr" --data-dir "$work/data" >"$work/server.log" 2>&1 &
  server=$!
  is_ready "$addr" "$server"
  code=$?
  check 'henge serve becomes ready' $code "$(last_of 3 "$work/server.log")"
  [ $code -eq 0 ] || finish
fi

if with_npm sse.js eventsource@4; then
  timeout 200 node "$work/node/sse.js" "$addr" 2>"$work/node.log" | tee -a "$results"
  check 'the client came to its end' "${PIPESTATUS[0]}" "$(last_of 3 "$work/node.log")"
fi

finish

#!/usr/bin/env bash
# Drives the RESP door of three real nodes with redis-cli, python3-redis and npm's ioredis, and compares every reply with that of a real Redis beside them.
# Prints a line for each check and ends with "N passed, N failed"; exits non-zero when anything failed. Installs what is missing (Debian's redis-server,
# redis-tools and python3-redis, npm's ioredis). Where Henge differs on purpose, the difference is what is checked.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

. eng/interop/checks.sh
redis=
dev=

cleanup() {
  [ -n "$redis" ] && kill "$redis" 2>/dev/null && wait "$redis" 2>/dev/null
  [ -n "$dev" ] && kill -TERM "$dev" 2>/dev/null && wait "$dev" 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

if ! { command -v redis-server && command -v redis-cli && "$python" -c 'import redis'; } >/dev/null 2>&1; then
  # The package would start a server of its own: a policy that says no keeps it from doing so.
  if [ ! -e /usr/sbin/policy-rc.d ]; then printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d && policy=1; fi
  { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends redis-server redis-tools python3-redis; } >"$work/apt.log" 2>&1
  [ -n "${policy:-}" ] && rm -f /usr/sbin/policy-rc.d
fi
{ command -v redis-server && command -v redis-cli && "$python" -c 'import redis'; } >/dev/null 2>"$work/python.log"
code=$?
check 'redis-server, redis-cli and python3-redis are there' $code "$(last_of 1 "$work/python.log")"
[ $code -eq 0 ] || finish

port=$((20000 + RANDOM % 12000))
p1=$port p2=$((port + 1)) p3=$((port + 2)) pr=$((port + 3))
redis-server --port "$pr" --bind 127.0.0.1 --save '' --appendonly no --dir "$work" --notify-keyspace-events KEA --slowlog-log-slower-than -1 --loglevel warning >"$work/redis.log" 2>&1 &
redis=$!
./henge --version >"$work/build.log" 2>&1 # builds it, so that what follows is not waiting for that
./henge dev --port "$port" --data-dir "$work/data" >"$work/dev.log" 2>&1 &
dev=$!
code=1
for _ in $(seq 300); do
  if grep -q 'is ready' "$work/dev.log" && redis-cli -p "$pr" PING >/dev/null 2>&1; then code=0 && break; fi
  kill -0 "$dev" 2>/dev/null || break
  sleep 0.1
done
check 'a Redis and three nodes of Henge are ready' $code "$(last_of 3 "$work/dev.log" "$work/redis.log")"
[ $code -eq 0 ] || finish

PYTHONUNBUFFERED=1 timeout 120 "$python" eng/interop/resp.py "$pr" "$p1" "$p2" "$p3" 2>"$work/python.err" | tee -a "$results"
check 'the Python comparison came to its end' "${PIPESTATUS[0]}" "$(last_of 3 "$work/python.err")"

# redis-cli: what it prints must be the same, line by line.
cli() { # cli NAME ARGUMENTS...: with standard input from $work/in
  local name=$1
  shift
  timeout 20 redis-cli -p "$pr" "$@" <"$work/in" >"$work/a" 2>&1
  timeout 20 redis-cli -p "$p3" "$@" <"$work/in" >"$work/b" 2>&1
  cmp -s "$work/a" "$work/b"
  check "redis-cli: $name" $? "$(diff "$work/a" "$work/b" | head -n 6 | tr '\n' ' ')"
}

: >"$work/in"
cli 'SET' SET cli:a 1
cli 'GET' GET cli:a
cli 'GET, as on a terminal' --no-raw GET cli:none
cli 'an error' --no-raw INCR
cli 'exit code of an error' -e INCR
cli 'MGET' --no-raw MGET cli:a cli:none
cli '--csv' --csv MGET cli:a cli:none
cli '--json' --json MGET cli:a cli:none
cli 'RESP3' -3 --no-raw GET cli:none
printf 'a value from a file\nwith two lines' >"$work/in"
cli '-x' -x SET cli:x
cli 'the value from a file' GET cli:x
cat >"$work/in" <<'COMMANDS'
SET cli:b "hello \"world\" \x01"
GET cli:b
INCR cli:n
INCRBY cli:n 41
INCRBYFLOAT cli:f 0.1
SETEX cli:e 100 v
TTL cli:e
PERSIST cli:e
TTL cli:e
TYPE cli:e
MSET {cli}1 1 {cli}2 2
MGET {cli}1 {cli}2 {cli}3
MSETNX {cli}3 3 {cli}4 4
GETDEL {cli}4
EXISTS {cli}3 {cli}4
MULTI
INCR {cli}1
INCR {cli}2
EXEC
MULTI
SET {cli}1
EXEC
WATCH {cli}1
SET {cli}1 9
MULTI
GET {cli}1
EXEC
KEYS {cli}1
SCAN 0 MATCH {cli}1 COUNT 100000
DEL {cli}1 {cli}2 {cli}3
NOSUCH
GET
COMMANDS
cli 'a session in RESP2' --no-raw
cli 'a session in RESP3' -3 --no-raw
cli 'a session, raw' --raw
for i in $(seq 5000); do printf '*3\r\n$3\r\nSET\r\n$%d\r\npipe:%d\r\n$5\r\nvalue\r\n' $((5 + ${#i})) "$i"; done >"$work/in"
timeout 30 redis-cli -p "$p1" --pipe <"$work/in" >"$work/b" 2>&1
grep -q 'errors: 0, replies: 5000' "$work/b"
check 'redis-cli --pipe: 5,000 commands' $? "$(tr '\n' ' ' <"$work/b")"
timeout 30 redis-cli -p "$p2" --scan --pattern 'pipe:*' | sort -u | wc -l >"$work/b"
grep -qx 5000 "$work/b"
check 'redis-cli --scan finds all of them' $? "$(cat "$work/b")"

if with_npm resp.js ioredis@5; then
  timeout 60 node "$work/node/resp.js" "$pr" "$p2" 2>"$work/node.log" | tee -a "$results"
  check 'the Node.js comparison came to its end' "${PIPESTATUS[0]}" "$(last_of 3 "$work/node.log")"
fi

finish

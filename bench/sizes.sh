#!/usr/bin/env bash
# How a node grows with its data: one node with 1, 2, 5 and 10 million keys (16 bytes) and values of 100 bytes.
#
#   bench/sizes.sh [MILLIONS...] [--dir DIRECTORY]      default: 1 2 5 10; data goes below DIRECTORY (default: a temporary one)
#
# Each size is loaded into an empty node over sessions (1,024 under way), then the node rests until compactions are done, is measured, is restarted, and is read: single keys drawn uniformly with
# 64 and 1,024 callers, and a scan of all keys. Settings are the defaults (512 MiB for memtables and cache); a cluster of one syncs every write before it acknowledges.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

sizes=() base=
while [ $# -gt 0 ]; do
  case $1 in
    --dir) base=$2; shift 2 ;;
    *) sizes+=("$1"); shift ;;
  esac
done
[ ${#sizes[@]} -gt 0 ] || sizes=(1 2 5 10)
[ -z "$base" ] || mkdir -p "$base"
work=$(mktemp -d ${base:+-p "$base"})
node=
stop() {
  if [ -n "$node" ]; then
    kill -TERM "$node" 2>/dev/null
    for _ in $(seq 300); do kill -0 "$node" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$node" 2>/dev/null
    wait "$node" 2>/dev/null
    node=
  fi
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
say() { echo "$*" >&2; }
die() { say "$*"; exit 1; }

./henge --version >/dev/null || die "Henge does not build."
port=$((20000 + RANDOM % 12000))
address=127.0.0.1:$port
now() { date +%s.%N; }
minus() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a - b }'; }
start() { # prints the seconds until it serves, since its process was begun
  local began
  began=$(now)
  # The binary itself: its process id is the one whose memory is looked at.
  artifacts/henge/henge serve --node-id node1 --addr "$address" --data-dir "$work/data" >"$work/node.log" 2>&1 &
  node=$!
  for _ in $(seq 6000); do
    curl -sf -m 2 "http://$address/readyz" >/dev/null && break
    kill -0 "$node" 2>/dev/null || { tail -n 5 "$work/node.log" >&2; die "The node ended."; }
    sleep 0.02
  done
  started=$(minus "$(now)" "$began")
}
metric() { curl -sf -m 5 "http://$address/metrics" | awk -v name="$1" '$1 ~ "^" name "({|$)" { sum += $2 } END { printf "%d", sum }'; }
rest() { # until no flush or compaction has ended for three seconds
  local before=-1 after
  for _ in $(seq 300); do
    after=$(metric henge_engine_flushes_total)/$(metric henge_engine_compactions_total)/$(metric henge_engine_io_written_bytes_total)
    [ "$after" = "$before" ] && return
    before=$after
    sleep 3
  done
}
rss() { echo $(($(ps -o rss= -p "$node") / 1024)); }
figure() { python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
if r["errors"]:
    sys.exit("%d errors: %s" % (r["errors"], r.get("errorMessages")))
print("%d" % r["operationsPerSecond"] if sys.argv[2] == "rate" else "%.2f" % r["reads"][sys.argv[2]])' "$work/bench.json" "$1"; }
reads() { timeout 120 ./henge bench --target "henge://$address" --read-ratio 1 --preload false --concurrency "$1" --keys "$2" --duration 5s --warm-up 2s --output json >"$work/bench.json" 2>"$work/bench.err"; }

printf '%8s %9s %10s %9s %9s %9s %10s %11s %9s %12s %12s\n' millions 'load s' 'loads/s' 'disk MiB' 'log MiB' 'RSS MiB' 'restart s' 'RSS MiB' 'reads/s' 'reads/s' 'scan keys/s'
printf '%8s %9s %10s %9s %9s %9s %10s %11s %9s %12s %12s\n' '' '' '' tables '' 'at rest' 'to ready' 'after it' '64 callers' '1,024' ''
for millions in "${sizes[@]}"; do
  keys=$((millions * 1000000))
  rm -rf "$work/data"
  start
  say "$millions million keys: loading ..."
  began=$(now)
  # One measured operation behind the preload: the time of the preload is what counts.
  timeout $((600 + millions * 300)) ./henge bench --target "henge://$address" --preload true --keys "$keys" --value-size 100 --concurrency 1024 --operations 1 --read-ratio 1 --warm-up 0s --output json >"$work/bench.json" 2>"$work/bench.err" ||
    die "The load failed: $(tail -n 2 "$work/bench.err")"
  load=$(minus "$(now)" "$began")
  say "  loaded in $load s; waiting until background work is done ..."
  rest
  disk=$(($(metric henge_engine_table_size_bytes) / 1048576))
  log=$(($(metric henge_log_size_bytes) / 1048576))
  memory=$(rss)
  stop
  start
  restart=$started
  say "  restarted in $restart s; reading ..."
  rest
  after=$(rss)
  reads 64 "$keys" && few=$(figure rate) || die "Reads failed: $(tail -n 2 "$work/bench.err")"
  reads 1024 "$keys" && many=$(figure rate) || die "Reads failed: $(tail -n 2 "$work/bench.err")"
  began=$(now)
  count=$(timeout 600 ./henge --peers "$address" export --prefix '' "$work/export.tsv" >"$work/export.log" 2>&1 && wc -l <"$work/export.tsv")
  scan=$(awk -v n="$keys" -v s="$(minus "$(now)" "$began")" 'BEGIN { printf "%d", n / s }')
  rm -f "$work/export.tsv"
  [ "$count" = "$keys" ] || die "A scan of all keys found $count of $keys: $(tail -n 2 "$work/export.log")"
  stop
  printf '%8s %9s %10d %9s %9s %9s %10s %11s %9s %12s %12s\n' "$millions" "$load" "$(awk -v n="$keys" -v s="$load" 'BEGIN { printf "%d", n / s }')" "$disk" "$log" "$memory" "$restart" "$after" "$few" "$many" "$scan"
done

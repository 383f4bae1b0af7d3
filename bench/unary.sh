#!/usr/bin/env bash
# Runs the same loads on two builds of Henge in turn, and prints throughput and processor time of each, and their ratios.
#
#   bench/unary.sh [OPTIONS] A B      A and B: directories of two checkouts, or programs (henge). A is the base of the ratios.
#     --rounds N         rounds of all rows, default 3; the table shows medians
#     --seconds N        how long a row takes, about, default 4
#     --rows WORDS       only rows that have one of these words in their name, as 'h2load,sessions'; default: h2load and bench
#     --no-stack         without the trivial service on Grpc.AspNetCore (bench/Henge.Stack of B's checkout) beside h2load's Get
#     --set-a/--set-b NAME=VALUE   into the environment of that side's nodes; may be given more than once
#
# Three durable nodes of each side run at the same time ("henge dev", default settings), and each row is run on one side after the other, so that what
# else the machine does disturbs both alike; sides change places from round to round. Processor time is that of the three nodes, user and system, from
# /proc, for each call that was made; for "henge bench" that of the load generator, which is the client of that side, too.
set -euo pipefail
need=()
command -v h2load >/dev/null || need+=(nghttp2-client)
command -v redis-benchmark >/dev/null || need+=(redis-tools)
command -v curl >/dev/null || need+=(curl)
command -v python3 >/dev/null || need+=(python3)
if [ ${#need[@]} -gt 0 ]; then
  echo "Installing ${need[*]} (Debian) ..." >&2
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}"; } >/dev/null
fi
exec python3 "$(dirname "$0")/unary.py" "$@"

#!/usr/bin/env bash
# What access checks, the audit log and TLS cost: runs the same loads on single nodes of one build that differ in those settings
# alone, in turn, and prints throughput and the node's processor time for a call beside those of an open node.
#
#   bench/security.sh [OPTIONS] HENGE     HENGE: the directory of a checkout, or the program
#     --rounds N       rounds of all rows, default 3; the tables show medians
#     --seconds N      how long a row takes, about, default 4
#     --rows WORDS     only rows that have one of these words in their name, as 'gRPC,RESP'
#
# The callers of the nodes that check access log in once for each connection with a password (RESP, JSON lines), or show a token with
# each request (gRPC, REST). Their user has one role with 16 grants. Client and node share the machine.
set -euo pipefail
need=()
command -v h2load >/dev/null || need+=(nghttp2-client)
command -v redis-benchmark >/dev/null || need+=(redis-tools)
command -v python3 >/dev/null || need+=(python3)
if [ ${#need[@]} -gt 0 ]; then
  echo "Installing ${need[*]} (Debian) ..." >&2
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${need[@]}"; } >/dev/null
fi
exec python3 "$(dirname "$0")/security.py" "$@"

#!/usr/bin/env bash
# Kills the leader of a real three-node cluster with -9, again and again, while clients write to every shard, and prints how long shards went without an
# acknowledged write, and how long the elections themselves took.
#
#   bench/failover.sh [KILLS] [SHARDS]        default: 50 kills, 16 shards
set -euo pipefail
cd "$(dirname "$0")/.."
dotnet build bench/Henge.Failover -c Release -v q -nologo >&2
exec bench/Henge.Failover/bin/Release/net10.0/Henge.Failover --kills "${1:-50}" --shards "${2:-16}"

#!/usr/bin/env bash
# Coverage-guided fuzzing of the decoders, and of a port that checks access (tests/Henge.Fuzz):
# eng/fuzz.sh [TARGET|PREFIX*|all] [SECONDS|RUNSx], 60 seconds for each target by default; 100000x is 100,000 inputs for each.
# eng/fuzz.sh 'guarded-*' 600 is what somebody without credentials says to every door. Ends with a table of executions by target.
# Takes AFL++ for a single target where it is installed (Debian: apt-get install afl++), else the driver of our own; FUZZ_WITH=own or
# FUZZ_WITH=afl chooses. What fails is added to tests/Henge.Fuzz/corpus/TARGET/ as found-*: commit it with the mended decoder. Ends with an
# error when something failed.
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 HENGE_FUZZ_CORPUS="$PWD/tests/Henge.Fuzz/corpus"

target=${1:-all}
budget=${2:-60}
with=${FUZZ_WITH:-$([[ "$target" != all && "$target" != *'*' && "$budget" != *x ]] && command -v afl-fuzz >/dev/null && echo afl || echo own)}
built=tests/Henge.Fuzz/bin/Release/net10.0
instrumented=tests/Henge.Fuzz/bin/instrumented

dotnet build tests/Henge.Fuzz -c Release -nologo -v q
dotnet tool restore >/dev/null
rm -rf "$instrumented"
cp -r "$built" "$instrumented"
for assembly in Henge.{Core,Cluster,Raft,Storage,Node,Protocol,Server,Client,Cli,Thrift} Thrift; do
  dotnet sharpfuzz "$instrumented/$assembly.dll"
done

if [ "$with" = own ]; then
  exec dotnet "$instrumented/Henge.Fuzz.dll" run "$target" "$budget"
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
AFL_SKIP_BIN_CHECK=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1 AFL_NO_UI=1 \
  afl-fuzz -i "$HENGE_FUZZ_CORPUS/$target" -o "$out" -V "$budget" -t 10000 -m none -- dotnet "$instrumented/Henge.Fuzz.dll" afl "$target"
grep -E '^(execs_done|execs_per_sec|corpus_count|corpus_found|edges_found|saved_crashes|saved_hangs)' "$out/default/fuzzer_stats"
found=0
for input in "$out"/default/crashes/id* "$out"/default/hangs/id*; do
  [ -f "$input" ] || continue
  found=$((found + 1))
  cp "$input" "$HENGE_FUZZ_CORPUS/$target/found-$(sha256sum <"$input" | cut -c1-12)"
done
[ $found -eq 0 ] || { echo "$found inputs failed: see tests/Henge.Fuzz/corpus/$target/found-*"; exit 1; }

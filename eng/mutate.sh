#!/usr/bin/env bash
# Mutation testing (docs/testing.md): eng/mutate.sh PROJECT [FILE...], as eng/mutate.sh Henge.Raft Commit Elections. Makes small changes in
# the files of src/PROJECT whose names contain one of these parts, one at a time, and runs the tests of tests/PROJECT.Tests against each.
# Prints the changes that no test notices, and for each file how many are noticed. MUTATE_VERBOSE=1 prints all; MUTATE_AGAIN=FILE tries
# only those that an earlier output, kept in a file, has.
set -euo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

project=${1:?a project of src/, as Henge.Raft}
shift
only=()
for part in "$@"; do only+=(--only "$part"); done
[ -z "${MUTATE_AGAIN:-}" ] || only+=(--again "$MUTATE_AGAIN")
# Schedules of random faults for fewer seeds than else; and not the tests of planted bugs, which are mutants of their own.
export HENGE_RAFT_SEEDS=${HENGE_RAFT_SEEDS:-20}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

dotnet build "tests/$project.Tests" -c Release -nologo -v q
dotnet build tests/Henge.Mutation -c Release -nologo -v q
cp -r "tests/$project.Tests/bin/Release/net10.0" "$work/bin"
dotnet tests/Henge.Mutation/bin/Release/net10.0/Henge.Mutation.dll "$project" "$work/bin" --without CanaryTests "${only[@]}"

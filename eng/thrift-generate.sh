#!/usr/bin/env bash
# Makes src/Henge.Thrift/Generated from proto/henge/v1/henge.thrift by Debian's thrift-compiler, which it installs where it is missing.
# With --check it changes nothing, and fails when what is there is not what the compiler makes.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

into=src/Henge.Thrift/Generated
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! command -v thrift >/dev/null; then
  { apt-get update && apt-get install -y --no-install-recommends thrift-compiler; } >"$work/apt.log" 2>&1 || {
    tail -n 3 "$work/apt.log"
    exit 1
  }
fi

thrift --gen netstd:net6,no_deepcopy,async_postfix,pascal -out "$work" proto/henge/v1/henge.thrift || exit 1

# Without blanks at the ends of lines, so that git has nothing to say about them.
sed -i 's/[ \t]*$//' "$work"/Henge/Thrift/Generated/*.cs

if [ "${1:-}" = --check ]; then
  diff -rq "$work/Henge/Thrift/Generated" "$into" || {
    echo "$into is not what $(thrift --version) makes of proto/henge/v1/henge.thrift: run eng/thrift-generate.sh"
    exit 1
  }
else
  rm -rf "$into"
  mkdir -p "$into"
  cp "$work"/Henge/Thrift/Generated/*.cs "$into/"
fi

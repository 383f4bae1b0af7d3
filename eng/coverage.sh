#!/usr/bin/env bash
# Line coverage of src/, without generated code, by the test projects that run in a minute or so, as one line: eng/coverage.sh [-v] [PROJECT...].
# With -v, it lists the files first, worst first. Runs what was built before (dotnet build Henge.slnx -c Release), from copies of its
# folders, since coverlet rewrites assemblies in place. Tests that measure allocations or memory are left out: the counters that coverlet
# adds are what they would see. A failure is told by the tests' own run; here only the figure counts.
set -euo pipefail
cd "$(dirname "$0")/.."

verbose=0
if [ "${1:-}" = -v ]; then verbose=1; shift; fi
projects=("$@")
[ ${#projects[@]} -gt 0 ] || projects=(Henge.{Core,Protocol,Cluster,Raft,Storage,Node,Server,Client,Bench,Fuzz}.Tests)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for project in "${projects[@]}"; do
  cp -r "tests/$project/bin/Release/net10.0" "$work/bin"
  timeout 300 dotnet "$work/bin/$project.dll" --filter-not-class '*AllocationTests' '*MemoryUse*' \
    --results-directory "$work/$project" --coverlet --coverlet-output-format cobertura \
    --coverlet-include '[Henge.*]*' --coverlet-exclude '[Henge.*Tests]*' '[Henge.Testing]*' '[Henge.Fuzz]*' '[Henge.Thrift]*' --coverlet-single-hit \
    >"$work/log" 2>&1 </dev/null || true
  if ! ls "$work/$project"/*cobertura*.xml >/dev/null 2>&1; then
    echo "$project gave no coverage:" >&2
    tail -n 20 "$work/log" >&2
    exit 1
  fi
  rm -rf "$work/bin"
done

python3 - "$verbose" "$PWD/src/" "$work"/*/*cobertura*.xml <<'E2'
import os, sys, xml.etree.ElementTree as xml

verbose, src, reports = sys.argv[1] == "1", sys.argv[2], sys.argv[3:]
lines = {}
for report in reports:
    tree = xml.parse(report)
    roots = [source.text or "" for source in tree.iter("source")]
    for cls in tree.iter("class"):
        name = cls.get("filename")
        file = next((path for path in (os.path.join(root, name) for root in roots) if path.startswith(src) and os.path.exists(path)), None)
        if file is None or "/obj/" in file:
            continue
        for line in cls.iter("line"):
            key = (file[len(src):], int(line.get("number")))
            lines[key] = lines.get(key, False) or int(line.get("hits")) > 0
files = {}
for (file, _), hit in lines.items():
    have, all_lines = files.get(file, (0, 0))
    files[file] = (have + hit, all_lines + 1)
if verbose:
    for file, (have, count) in sorted(files.items(), key=lambda item: item[1][0] / item[1][1]):
        print(f"{100 * have / count:5.1f} %  {have:5} of {count:5}  {file}")
rooms = {}
for file, (have, count) in files.items():
    room = file.split("/")[0].removeprefix("Henge.")
    rooms[room] = tuple(map(sum, zip(rooms.get(room, (0, 0)), (have, count))))
have, count = sum(f[0] for f in files.values()), sum(f[1] for f in files.values())
print(f"{100 * have / count:.1f} % of {count} lines ({', '.join(f'{room} {100 * h / c:.0f}' for room, (h, c) in sorted(rooms.items()))})")
E2

#!/usr/bin/env bash
# Packs all packages, installs each from a local folder into an empty directory, and uses it: the tool runs a node, the client writes to it, the embedded engine
# and the Raft library run by themselves. Prints a line for each check and ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1
root=$PWD
passed=0
failed=0
work=$(mktemp -d)
node=
# A version of its own, so that what an earlier run left in the package cache is never taken for it.
version=0.1.0-smoke.$$.$(date +%s)

cleanup() {
  [ -n "$node" ] && kill -TERM "$node" 2>/dev/null && wait "$node" 2>/dev/null
  cache=$(dotnet nuget locals global-packages --list 2>/dev/null | sed 's/^[^:]*: *//')
  [ -n "$cache" ] && rm -rf "${cache%/}"/henge.*/"$version"
  rm -rf "$work"
}
trap cleanup EXIT

pass() { passed=$((passed + 1)); echo "ok    $1"; }
fail() { failed=$((failed + 1)); echo "FAIL  $1: $(head -c 1500 <<<"$2")"; }

# check NAME EXPECTED COMMAND...: the output must contain what is expected (a fixed text).
check() {
  local name=$1 expected=$2 output
  shift 2
  output=$("$@" 2>&1 </dev/null)
  if grep -qF -- "$expected" <<<"$output"; then pass "$name"; else fail "$name (expected '$expected')" "$output"; fi
}

packages=$work/packages
mkdir "$packages"
for project in Core Protocol Client Storage Raft Tool; do
  log=$(CI=true dotnet pack "src/Henge.$project/Henge.$project.csproj" -c Release -nologo -p:Version="$version" -o "$packages" 2>&1)
  if [ -f "$packages/Henge.$project.$version.nupkg" ]; then pass "Henge.$project is packed"; else fail "Henge.$project is packed" "$log"; fi
done

for package in "$packages"/*.nupkg; do
  name=$(basename "$package" ".$version.nupkg")
  rm -rf "$work/content"
  mkdir "$work/content"
  python3 -m zipfile -e "$package" "$work/content"
  missing=
  for file in README.md icon.png "$name.nuspec"; do [ -f "$work/content/$file" ] || missing+=" $file"; done
  grep -q '<license type="expression">MIT</license>' "$work/content/$name.nuspec" || missing+=" licence"
  if [ "$name" != Henge.Tool ]; then
    [ -f "$work/content/lib/net10.0/$name.xml" ] || missing+=" XML-docs"
    [ -f "$packages/$name.$version.snupkg" ] || missing+=" symbols"
  fi
  if [ -z "$missing" ]; then pass "$name has read-me, icon, licence, documentation, symbols"; else fail "$name is whole" "missing:$missing"; fi
  [ "$name" != Henge.Storage ] || cp "$work/content/README.md" "$work/storage.md"
done

cat >"$work/nuget.config" <<XML
<configuration><packageSources><add key="packed" value="$packages" /></packageSources></configuration>
XML

# program NAME PACKAGE: makes a program in an empty directory, its code from standard input.
program() {
  mkdir "$work/$1"
  cat >"$work/$1/Program.cs"
  cat >"$work/$1/$1.csproj" <<XML
<Project Sdk="Microsoft.NET.Sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType><TargetFramework>net10.0</TargetFramework><Nullable>enable</Nullable><ImplicitUsings>enable</ImplicitUsings>
    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
  </PropertyGroup>
  <ItemGroup><PackageReference Include="$2" Version="$version" /></ItemGroup>
</Project>
XML
}
run() { (cd "$work/$1" && shift && "$@"); }

# The tool.
cd "$work" || exit 1
check 'the tool installs' "was successfully installed" dotnet tool install Henge.Tool --version "$version" --tool-path "$work/tools" --configfile "$work/nuget.config"
henge=$work/tools/henge
check 'henge --version' "$version" "$henge" --version
port=$((20000 + RANDOM % 20000))
"$henge" serve --node-id node1 --addr "127.0.0.1:$port" --data-dir "$work/data" >"$work/node.log" 2>&1 &
node=$!
for _ in $(seq 1 300); do
  "$henge" --peers "127.0.0.1:$port" --timeout 1s status >/dev/null 2>&1 && break
  kill -0 "$node" 2>/dev/null || break
  sleep 0.2
done
check 'the tool writes to a node of the tool' OK "$henge" --peers "127.0.0.1:$port" put from tool
check 'and reads' tool "$henge" --peers "127.0.0.1:$port" get from

# The client.
program client Henge.Client <<'CS'
using Henge.Client;

await using HengeClient henge = new(args[0]);
PutResult put = await henge.PutAsync("from", "package");
PutResult refused = await henge.PutAsync("from", "nobody", new PutOptions { IfVersion = Henge.Core.Version.Zero });
GetResult got = await henge.GetAsync("from");
Console.WriteLine($"{got.Text}, {(got.Version == put.Version ? "same version" : "another version")}, {(refused.Succeeded ? "overwritten" : "condition held")}");
CS
check 'Henge.Client in a program' 'package, same version, condition held' run client dotnet run -c Release -- "127.0.0.1:$port"
kill -TERM "$node"
wait "$node"
code=$?
node=
if [ $code -eq 0 ]; then pass 'the node stops when it is told to'; else fail 'the node stops when it is told to' "exit code $code: $(tail -5 "$work/node.log")"; fi
check 'the tool verifies its files' OK "$henge" storage verify "$work/data"

# The engine: the code of its read-me.
awk '/^```csharp/ { code = 1; next } /^```/ { code = 0 } code' "$work/storage.md" | program storage Henge.Storage
check 'Henge.Storage in a program, by its read-me' '3 bytes at ' run storage dotnet run -c Release

# Raft: a group of one.
program raft Henge.Raft <<'CS'
using Henge.Core;
using Henge.Raft;

NodeId self = new(1);
MemoryRaftLog log = new();
RaftGroup group = new(new RaftOptions { Self = self }, log, new RestoredState { Membership = new Membership([self]) }, new SplitMix64Random(1));
bool proposed = false;
for (int tick = 0; tick < 1_000; tick++)
{
    group.Tick();
    if (group.Role == RaftRole.Leader && !proposed)
    {
        proposed = group.Propose("hello"u8.ToArray()).IsAccepted;
    }

    while (group.HasReady)
    {
        Ready ready = group.TakeReady();
        log.Append(ready.TruncateFrom, ready.Entries);
        List<Entry> committed = [.. ready.Committed];
        if (ready.PersistTicket != 0)
        {
            group.Persisted(ready.PersistTicket);
        }

        foreach (Entry entry in committed)
        {
            group.Applied(entry.Index);
            if (entry.Data.Length == 5)
            {
                Console.WriteLine($"committed {System.Text.Encoding.UTF8.GetString(entry.Data.Span)} in term {entry.Term}");
                return;
            }
        }
    }
}
CS
check 'Henge.Raft in a program' 'committed hello in term 1' run raft dotnet run -c Release

cd "$root" || exit 1
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

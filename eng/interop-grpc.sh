#!/usr/bin/env bash
# Drives every call of the gRPC API of a real node with stock clients: Debian's python3-grpcio, Grpc.Net.Client (eng/interop/dotnet) and npm's @grpc/grpc-js.
# Prints a line for each check and ends with "N passed, N failed"; exits non-zero when anything failed.
# HENGE_INTEROP_ADDR=HOST:PORT uses a node that runs already, and leaves out the checks of starting and stopping.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

work=$(mktemp -d)
results=$work/results
server=
others=()
: >"$results"

cleanup() {
  for pid in $server "${others[@]}"; do kill -9 "$pid" && wait "$pid"; done 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

check() { # check NAME CODE [DETAIL]: one result of the script's own.
  if [ "$2" -eq 0 ]; then echo "ok    $1"; else echo "FAIL  $1  ${3:-}"; fi | tee -a "$results"
}

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

is_ready() { # is_ready ADDR PID: waits until a node says that it serves, or has ended.
  for _ in $(seq 300); do
    if curl -sf -m 2 "http://$1/readyz" >/dev/null; then return 0; fi
    kill -0 "$2" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

finish() {
  local passed failed
  passed=$(grep -c '^ok ' "$results")
  failed=$(grep -c '^FAIL ' "$results")
  echo
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit
}

# Debian's packages are for Debian's own Python, whatever else is on the PATH.
python=/usr/bin/python3
if ! { "$python" -c 'import grpc' && command -v protoc grpc_python_plugin; } >/dev/null 2>&1; then
  { apt-get update && apt-get install -y --no-install-recommends python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc; } >"$work/apt.log" 2>&1
fi
"$python" -c 'import grpc, google.protobuf' 2>"$work/python.log"
code=$?
check 'python3-grpcio is there' $code "$(tail -n 1 "$work/python.log")"
[ $code -eq 0 ] || finish

# The well-known services get file names of their own: a Python package named grpc must not hide the library.
mkdir -p "$work/proto" "$work/stubs"
cp -r proto/henge "$work/proto/"
cp proto/grpc/health/v1/health.proto "$work/proto/health_v1.proto"
cp proto/grpc/reflection/v1/reflection.proto "$work/proto/reflection_v1.proto"
cp proto/grpc/reflection/v1alpha/reflection.proto "$work/proto/reflection_v1alpha.proto"
# (The protoc in python3-grpc-tools is too old for "optional".)
(cd "$work/proto" && protoc -I. --plugin=protoc-gen-grpc_python="$(command -v grpc_python_plugin)" --python_out="$work/stubs" --grpc_python_out="$work/stubs" \
  henge/v1/kv.proto henge/v1/cluster.proto health_v1.proto reflection_v1.proto reflection_v1alpha.proto) >"$work/protoc.log" 2>&1
code=$?
check "stubs can be made from the .proto files" $code "$(tail -n 1 "$work/protoc.log")"
[ $code -eq 0 ] || finish

if [ -n "${HENGE_INTEROP_ADDR:-}" ]; then
  addr=$HENGE_INTEROP_ADDR
else
  addr=127.0.0.1:$(free_port)
  ./henge --version >"$work/build.log" 2>&1 # builds it, so that what follows is not waiting for that
  ./henge serve --node-id node1 --addr "$addr" --data-dir "$work/data" >"$work/server.log" 2>&1 &
  server=$!
  is_ready "$addr" "$server"
  code=$?
  check 'henge serve becomes ready' $code "$(tail -n 3 "$work/server.log" | tr '\n' ' ')"
  [ $code -eq 0 ] || finish
fi

PYTHONPATH="$work/stubs" timeout 80 "$python" eng/interop/client.py "$addr" 2>"$work/python.log" | tee -a "$results"
code=${PIPESTATUS[0]}
check 'the Python client came to its end' "$code" "$(tail -n 3 "$work/python.log" | tr '\n' ' ')"

dotnet build eng/interop/dotnet -c Release -v quiet -nologo >"$work/dotnet.log" 2>&1
code=$?
check 'the C# client can be made from the .proto files' $code "$(tail -n 3 "$work/dotnet.log" | tr '\n' ' ')"
if [ $code -eq 0 ]; then
  timeout 80 dotnet eng/interop/dotnet/bin/Release/net10.0/Henge.Interop.dll "$addr" 2>"$work/dotnet.log" | tee -a "$results"
  code=${PIPESTATUS[0]}
  check 'the C# client came to its end' "$code" "$(tail -n 3 "$work/dotnet.log" | tr '\n' ' ')"
fi

if command -v npm >/dev/null; then
  mkdir -p "$work/node"
  cp eng/interop/client.js "$work/node/"
  (cd "$work/node" && npm init -y && npm install --no-audit --no-fund @grpc/grpc-js @grpc/proto-loader) >"$work/npm.log" 2>&1
  code=$?
  check '@grpc/grpc-js is there' $code "$(tail -n 1 "$work/npm.log")"
  if [ $code -eq 0 ]; then
    timeout 60 node "$work/node/client.js" "$addr" "$work/proto" 2>"$work/node.log" | tee -a "$results"
    code=${PIPESTATUS[0]}
    check 'the Node.js client came to its end' "$code" "$(tail -n 3 "$work/node.log" | tr '\n' ' ')"
  fi
else
  check 'npm is there' 1
fi

if [ -n "$server" ]; then
  PYTHONPATH="$work/stubs" timeout 30 "$python" eng/interop/stop.py "$addr" "$server" 2>"$work/stop.log" | tee -a "$results"
  check 'the stopping check came to its end' "${PIPESTATUS[0]}" "$(tail -n 2 "$work/stop.log" | tr '\n' ' ')"
  wait "$server"
  check 'the node exits with 0 after SIGTERM' $?
  server=

  # Once more against one of three: what it does not lead, it forwards.
  a1=127.0.0.1:$(free_port) a2=127.0.0.1:$(free_port) a3=127.0.0.1:$(free_port)
  i=0
  for a in $a1 $a2 $a3; do
    i=$((i + 1))
    ./henge serve --node-id "node$i" --addr "$a" --data-dir "$work/data-$i" --cluster "node1=$a1,node2=$a2,node3=$a3" >"$work/node$i.log" 2>&1 &
    others+=($!)
  done
  is_ready "$a2" "${others[1]}"
  code=$?
  check 'three nodes become ready' $code "$(tail -n 3 "$work/node2.log" | tr '\n' ' ')"
  if [ $code -eq 0 ]; then
    PYTHONPATH="$work/stubs" timeout 80 "$python" eng/interop/client.py "$a2" 'python, three nodes' 2>"$work/python.log" | tee -a "$results"
    check 'the Python client of three nodes came to its end' "${PIPESTATUS[0]}" "$(tail -n 3 "$work/python.log" | tr '\n' ' ')"
  fi
fi

finish

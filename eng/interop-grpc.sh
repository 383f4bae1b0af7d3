#!/usr/bin/env bash
# Drives every call of the gRPC API of a real node with stock clients: Debian's python3-grpcio, Grpc.Net.Client (eng/interop/dotnet) and npm's @grpc/grpc-js.
# Prints a line for each check and ends with "N passed, N failed"; exits non-zero when anything failed.
# HENGE_INTEROP_ADDR=HOST:PORT uses a node that runs already, and leaves out the checks of starting and stopping.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

. eng/interop/checks.sh
server=
others=()

cleanup() {
  for pid in $server "${others[@]}"; do kill -9 "$pid" && wait "$pid"; done 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

if ! { "$python" -c 'import grpc' && command -v protoc grpc_python_plugin; } >/dev/null 2>&1; then
  { apt-get update && apt-get install -y --no-install-recommends python3-grpcio python3-protobuf protobuf-compiler protobuf-compiler-grpc; } >"$work/apt.log" 2>&1
fi
"$python" -c 'import grpc, google.protobuf' 2>"$work/python.log"
code=$?
check 'python3-grpcio is there' $code "$(last_of 1 "$work/python.log")"
[ $code -eq 0 ] || finish

# The well-known services get file names of their own: a Python package named grpc must not hide the library.
mkdir -p "$work/proto" "$work/stubs"
cp -r proto/henge "$work/proto/"
cp proto/grpc/health/v1/health.proto "$work/proto/health_v1.proto"
cp proto/grpc/reflection/v1/reflection.proto "$work/proto/reflection_v1.proto"
cp proto/grpc/reflection/v1alpha/reflection.proto "$work/proto/reflection_v1alpha.proto"
# (The protoc in python3-grpc-tools is too old for "optional".)
(cd "$work/proto" && protoc -I. --plugin=protoc-gen-grpc_python="$(command -v grpc_python_plugin)" --python_out="$work/stubs" --grpc_python_out="$work/stubs" \
  henge/v1/kv.proto henge/v1/cluster.proto henge/v1/access.proto health_v1.proto reflection_v1.proto reflection_v1alpha.proto) >"$work/protoc.log" 2>&1
code=$?
check "stubs can be made from the .proto files" $code "$(last_of 1 "$work/protoc.log")"
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
  check 'henge serve becomes ready' $code "$(last_of 3 "$work/server.log")"
  [ $code -eq 0 ] || finish
fi

PYTHONPATH="$work/stubs" timeout 80 "$python" eng/interop/client.py "$addr" 2>"$work/python.log" | tee -a "$results"
code=${PIPESTATUS[0]}
check 'the Python client came to its end' "$code" "$(last_of 3 "$work/python.log")"

csharp=eng/interop/dotnet/bin/Release/net10.0/Henge.Interop.dll
dotnet build eng/interop/dotnet -c Release -v quiet -nologo >"$work/dotnet.log" 2>&1
code=$?
check 'the C# client can be made from the .proto files' $code "$(last_of 3 "$work/dotnet.log")"
if [ $code -eq 0 ]; then
  timeout 80 dotnet "$csharp" "$addr" 'C#' 2>"$work/dotnet.log" | tee -a "$results"
  code=${PIPESTATUS[0]}
  check 'the C# client came to its end' "$code" "$(last_of 3 "$work/dotnet.log")"
fi

if with_npm client.js @grpc/grpc-js @grpc/proto-loader; then
  timeout 60 node "$work/node/client.js" "$addr" "$work/proto" 2>"$work/node.log" | tee -a "$results"
  code=${PIPESTATUS[0]}
  check 'the Node.js client came to its end' "$code" "$(last_of 3 "$work/node.log")"
fi

if [ -n "$server" ]; then
  PYTHONPATH="$work/stubs" timeout 30 "$python" eng/interop/stop.py "$addr" "$server" 2>"$work/stop.log" | tee -a "$results"
  check 'the stopping check came to its end' "${PIPESTATUS[0]}" "$(last_of 2 "$work/stop.log")"
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
  check 'three nodes become ready' $code "$(last_of 3 "$work/node2.log")"
  if [ $code -eq 0 ]; then
    timeout 80 dotnet "$csharp" "$a2" 'C#, three nodes' 2>"$work/dotnet.log" | tee -a "$results"
    check 'the C# client of three nodes came to its end' "${PIPESTATUS[0]}" "$(last_of 3 "$work/dotnet.log")"
  fi
fi

finish

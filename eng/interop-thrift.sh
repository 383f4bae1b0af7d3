#!/usr/bin/env bash
# Drives every call of the Thrift API of a real node with stock clients, Debian's python3-thrift and npm's thrift, in both protocols, also behind TLS
# where access is checked; and checks that the generated code of the server is what the compiler makes now.
# Prints a line for each check and ends with "N passed, N failed"; exits non-zero when anything failed.
# HENGE_INTEROP_ADDR=HOST:PORT uses a node that runs already, and leaves out the checks behind TLS. HENGE=PROGRAM is run in place of ./henge.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

. eng/interop/checks.sh
henge=${HENGE:-./henge}
servers=()

cleanup() {
  for pid in "${servers[@]}"; do kill -9 "$pid" && wait "$pid"; done 2>/dev/null
  rm -rf "$work"
}
trap cleanup EXIT

if ! { "$python" -c 'import thrift' && command -v thrift curl; } >/dev/null 2>&1; then
  { apt-get update && apt-get install -y --no-install-recommends python3-thrift thrift-compiler curl; } >"$work/apt.log" 2>&1
fi
"$python" -c 'import thrift' 2>"$work/python.log"
code=$?
check 'python3-thrift is there' $code "$(last_of 1 "$work/python.log")"
[ $code -eq 0 ] || finish

bash eng/thrift-generate.sh --check >"$work/generate.log" 2>&1
check 'the generated code is that of henge.thrift' $? "$(last_of 2 "$work/generate.log")"

mkdir -p "$work/py" "$work/js"
thrift --gen py -out "$work/py" proto/henge/v1/henge.thrift >"$work/stubs.log" 2>&1 && thrift --gen js:node,es6 -out "$work/js" proto/henge/v1/henge.thrift >>"$work/stubs.log" 2>&1
code=$?
check 'stubs can be made from henge.thrift' $code "$(last_of 1 "$work/stubs.log")"
[ $code -eq 0 ] || finish

if [ -n "${HENGE_INTEROP_ADDR:-}" ]; then
  addr=$HENGE_INTEROP_ADDR
else
  addr=127.0.0.1:$(free_port)
  $henge --version >"$work/build.log" 2>&1 # builds it, so that what follows is not waiting for that
  $henge serve --node-id node1 --addr "$addr" --data-dir "$work/data" >"$work/server.log" 2>&1 &
  servers+=($!)
  is_ready "$addr" "${servers[0]}"
  code=$?
  check 'henge serve becomes ready' $code "$(last_of 3 "$work/server.log")"
  [ $code -eq 0 ] || finish
fi

for encoding in binary compact; do
  PYTHONPATH="$work/py" timeout 100 "$python" eng/interop/thrift-client.py "$addr" $encoding 2>"$work/python.log" | tee -a "$results"
  check "the Python client came to its end, $encoding" "${PIPESTATUS[0]}" "$(last_of 3 "$work/python.log")"
done

if with_npm thrift-client.js thrift; then
  has_npm=1
  cp -r "$work/js" "$work/node/stubs"
  timeout 100 node "$work/node/thrift-client.js" "$addr" "$work/node/stubs" 2>"$work/node.log" | tee -a "$results"
  check 'the Node.js client came to its end' "${PIPESTATUS[0]}" "$(last_of 3 "$work/node.log")"
fi

[ ${#servers[@]} -gt 0 ] || finish

# Behind TLS, where access is checked.
certs=$work/certs
umask 077
echo 'correct horse battery' >"$work/root.secret"
{
  $henge cert create-ca --certs-dir "$certs" && $henge cert create-node 127.0.0.1 --certs-dir "$certs"
} >"$work/cert.log" 2>&1
check 'certificates are made' $? "$(last_of 2 "$work/cert.log")"
addr=127.0.0.1:$(free_port)
$henge serve --node-id node1 --addr "$addr" --data-dir "$work/data-tls" --root-password-file "$work/root.secret" \
  --tls-cert "$certs/node.127.0.0.1.crt" --tls-key "$certs/node.127.0.0.1.key" --tls-ca "$certs/ca.crt" --tls-client-auth optional >"$work/tls.log" 2>&1 &
servers+=($!)
for _ in $(seq 300); do
  curl -sf -m 2 --cacert "$certs/ca.crt" "https://$addr/readyz" >/dev/null && break
  kill -0 "${servers[-1]}" 2>/dev/null || break
  sleep 0.1
done

as_root() { $henge "$@" --peers "$addr" --tls-ca "$certs/ca.crt" --user root --password-file "$work/root.secret"; }

{
  as_root role add own && as_root role grant own --prefix a/ read,write && as_root user add ann --new-password-file "$work/root.secret" \
    && as_root user grant ann own && as_root auth enable && as_root user token ann >"$work/ann.token"
} >"$work/access.log" 2>&1
code=$?
check 'access is checked behind TLS' $code "$(last_of 3 "$work/access.log" "$work/tls.log")"
[ $code -eq 0 ] || finish

# Clients without certificates: auth says who calls.
export PASSWORD_FILE="$work/root.secret" TOKEN_FILE="$work/ann.token"
for encoding in binary compact; do
  PYTHONPATH="$work/py" timeout 100 "$python" eng/interop/thrift-client.py "$addr" $encoding "$certs/ca.crt" 2>"$work/python.log" | tee -a "$results"
  check "the Python client behind TLS came to its end, $encoding" "${PIPESTATUS[0]}" "$(last_of 3 "$work/python.log")"
done

if [ -n "${has_npm:-}" ]; then
  timeout 100 node "$work/node/thrift-client.js" "$addr" "$work/node/stubs" "$certs/ca.crt" 2>"$work/node.log" | tee -a "$results"
  check 'the Node.js client behind TLS came to its end' "${PIPESTATUS[0]}" "$(last_of 3 "$work/node.log")"
fi

finish

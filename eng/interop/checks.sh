# What the scripts eng/interop-*.sh share; sourced by them. Makes a folder for the run ($work), and prints a line for each check.
work=$(mktemp -d)
results=$work/results
: >"$results"

# Debian's packages are for Debian's own Python, whatever else is on the PATH.
python=/usr/bin/python3

check() { # check NAME CODE [DETAIL]: one result of the script's own.
  if [ "$2" -eq 0 ]; then echo "ok    $1"; else echo "FAIL  $1  ${3:-}"; fi | tee -a "$results"
}

finish() { # Says "N passed, N failed", and exits with 0 if nothing has failed.
  local passed failed
  passed=$(grep -c '^ok ' "$results")
  failed=$(grep -c '^FAIL ' "$results")
  echo
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit
}

last_of() { tail -n "$1" "${@:2}" | tr '\n' ' '; } # last_of N FILE...: their last lines, as one.

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

is_ready() { # is_ready ADDR PID: waits until a node says that it serves, or has ended.
  for _ in $(seq 300); do
    if curl -sf -m 2 "http://$1/readyz" >/dev/null; then return 0; fi
    kill -0 "$2" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

# with_npm FILE.js PACKAGE...: copies a client into a folder in which npm's packages are, or fails and says so.
with_npm() {
  local code
  if ! command -v npm >/dev/null; then check 'npm is there' 1; return 1; fi
  mkdir -p "$work/node"
  cp "eng/interop/$1" "$work/node/"
  (cd "$work/node" && npm init -y && npm install --no-audit --no-fund "${@:2}") >"$work/npm.log" 2>&1
  code=$?
  check "${*:2}: npm has installed it" $code "$(last_of 1 "$work/npm.log")"
  return $code
}

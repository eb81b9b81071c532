# Sourced: a gateway of this repository in a folder of its own.

# start_gateway DIR BINARY CONFIG: serves DIR/state on a free port; sets GATEWAY_PORT, and ends with the script.
start_gateway() {
  local dir=$1 binary=$2 config=$3
  (umask 077 && mkdir -p "$dir/state" "$dir/home" && printf '%s\n' "$config" >"$dir/state/clawdia.json")
  : >"$dir/gateway.out"
  env -i PATH="$PATH" HOME="$dir/home" CLAWDIA_STATE_DIR="$dir/state" \
    "$binary" gateway run --port 0 >"$dir/gateway.out" 2>&1 &
  GATEWAY_PID=$!
  local tries=0
  until GATEWAY_PORT=$(sed -n 's/^clawdia gateway listening on .*:\([0-9]*\)$/\1/p' "$dir/gateway.out") &&
    [ -n "$GATEWAY_PORT" ]; do
    tries=$((tries + 1))
    if [ $tries -gt 200 ] || ! kill -0 "$GATEWAY_PID" 2>/dev/null; then
      echo 'the gateway did not start:' >&2
      cat "$dir/gateway.out" >&2
      return 1
    fi
    sleep 0.1
  done
}

# The gateway is asked to end, so that a fault in ending shows as well.
stop_gateway() {
  [ -n "${GATEWAY_PID-}" ] || return 0
  kill "$GATEWAY_PID" 2>/dev/null || true
  wait "$GATEWAY_PID" || { echo "the gateway ended with $?" >&2; return 1; }
  GATEWAY_PID=
}

# The program to try: as named, or the one that was built last as a release or else for debugging.
clawdia_program() {
  local top
  top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
  if [ -n "${CLAWDIA-}" ]; then
    echo "$CLAWDIA"
  elif [ -x "$top/target/release/clawdia" ]; then
    echo "$top/target/release/clawdia"
  else
    echo "$top/target/debug/clawdia"
  fi
}

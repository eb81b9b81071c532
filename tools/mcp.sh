#!/usr/bin/env bash
# Servers of tools made with the official Python SDK (1.x, of the same revision), on pipes and by streamable HTTP, used through
# POST /tools/invoke: texts, structured results, pictures, errors, a list that changes, an end.
#
#   tools/mcp.sh             a few seconds, and 30 MB of packages from PyPI on the first run
#
# Env: MCP_ROOT     where the SDK is, or is installed to (default: target/mcp)
#      CLAWDIA      the program (default: target/release/clawdia, else target/debug/clawdia)
# Prints SKIPPED and why, and exits 0, where the packages cannot be had.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/gateway.sh"

root=${MCP_ROOT:-$here/../target/mcp}
mkdir -p "$root"
root=$(cd "$root" && pwd)
program=$(realpath "$(clawdia_program)")
dir=$(mktemp -d)
server_pid=
finish() {
  status=$?
  stop_gateway || true
  [ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null || true
  rm -rf "$dir"
  exit $status
}
trap finish EXIT

python=$root/venv/bin/python
if ! "$python" -c 'import mcp.server.fastmcp' 2>/dev/null; then
  if ! { python3 -m venv "$root/venv" && "$root/venv/bin/pip" install -q 'mcp<2'; } >"$dir/pip.out" 2>&1; then
    echo "SKIPPED: mcp cannot be installed from PyPI: $(tail -n 1 "$dir/pip.out")"
    exit 0
  fi
fi

env -i PATH="$PATH" HOME="$dir" "$python" "$here/mcp/server.py" http >"$dir/http.out" 2>"$dir/http.err" &
server_pid=$!
tries=0
until port=$(grep -o '^port [0-9]*' "$dir/http.out"); do
  tries=$((tries + 1))
  [ $tries -lt 200 ] || { echo "FAILED: the server behind an address does not start" >&2; cat "$dir/http.err" >&2; exit 1; }
  sleep 0.1
done

start_gateway "$dir/gateway" "$program" "{ mcp: { servers: {
  pipe: { command: '$python', args: ['$here/mcp/server.py', 'stdio'] },
  far: { url: 'http://127.0.0.1:${port#port }/mcp' } } } }"
clawdia() { env -i PATH="$PATH" HOME="$dir/home" CLAWDIA_STATE_DIR="$dir/gateway/state" "$program" "$@"; }
tries=0
until [ "$(clawdia mcp list | grep -c ' up over ')" = 2 ]; do
  tries=$((tries + 1))
  [ $tries -lt 300 ] || { echo "FAILED: the servers do not come up" >&2; clawdia mcp list >&2; exit 1; }
  sleep 0.1
done
clawdia mcp list
env -i PATH="$PATH" HOME="$dir" "$python" "$here/mcp/check.py" "$GATEWAY_PORT" "$(clawdia token)"
pid=$(pgrep -f "$here/mcp/server.py stdio")
stop_gateway || { echo 'FAILED: the gateway did not end well' >&2; exit 1; }
[ ! -e "/proc/$pid" ] || { echo 'FAILED: the program outlives the gateway' >&2; exit 1; }
echo "ok: the program ended with the gateway"
echo "passed"

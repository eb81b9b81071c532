#!/usr/bin/env bash
# OpenAI's own Python library against this gateway: whole answers, streams, usage, errors, an abort, pictures.
#
#   tools/openai.sh          a few seconds, and 20 MB of packages from PyPI on the first run
#
# Env: OPENAI_ROOT  where the library is, or is installed to (default: target/openai)
#      CLAWDIA      the program (default: target/release/clawdia, else target/debug/clawdia)
# Prints SKIPPED and why, and exits 0, where the packages cannot be had.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/interop/gateway.sh"

root=${OPENAI_ROOT:-$here/../target/openai}
mkdir -p "$root"
root=$(cd "$root" && pwd)
program=$(realpath "$(clawdia_program)")
dir=$(mktemp -d)
trap 'status=$?; stop_gateway || true; rm -rf "$dir"; exit $status' EXIT

python=$root/venv/bin/python
if ! "$python" -c 'import openai' 2>/dev/null; then
  if ! { python3 -m venv "$root/venv" && "$root/venv/bin/pip" install -q openai; } >"$dir/pip.out" 2>&1; then
    echo "SKIPPED: openai cannot be installed from PyPI: $(tail -n 1 "$dir/pip.out")"
    exit 0
  fi
fi

start_gateway "$dir/gateway" "$program" "{
  gateway: { http: { endpoints: { chatCompletions: { enabled: true }, responses: { enabled: true } } } } }"
clawdia() { env -i PATH="$PATH" HOME="$dir/home" CLAWDIA_STATE_DIR="$dir/gateway/state" "$program" "$@"; }
env -i PATH="$PATH" HOME="$dir/home" "$python" "$here/openai/client.py" "$GATEWAY_PORT" "$(clawdia token)"
tries=0
until clawdia gateway call status | grep -q '"abortedLastRun": true'; do
  tries=$((tries + 1))
  [ $tries -lt 100 ] || { echo "FAILED: the run of a client that went away goes on" >&2; exit 1; }
  sleep 0.1
done
echo "ok: the run of a client that went away is stopped"
env -i PATH="$PATH" HOME="$dir/home" CLAWDIA_STATE_DIR="$dir/gateway/state" \
  "$python" "$here/openai/pictures.py" "$GATEWAY_PORT" "$(clawdia token)" "$program"
stop_gateway || { echo 'FAILED: the gateway did not end well' >&2; exit 1; }
echo "passed"
